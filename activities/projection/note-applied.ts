import type { MadeMission } from './apply-mission.ts';
import type { ProjectionDependencies } from './dependencies.ts';
import { markAllApplied, markApplied, type Noted, type PendingMission } from '#db/schedule-state.ts';

/** As many are noted by one transaction; each mission's own would cost as much as the rest of our work on it. */
const MOST_AT_ONCE = 25;
/** So long one waits for others at most. A crash meanwhile has its schedule looked at once more, nothing else. */
const WITHIN_MS = 100;

/** What was made of a mission that was read as pending, and is to be noted. */
export interface ToNote extends Noted {
  readonly mission: PendingMission;
  readonly made: MadeMission;
}

export interface NotesOptions {
  readonly onNoted: (noted: ToNote) => void;
  readonly onFailure: (unnoted: ToNote, error: unknown) => Promise<void>;
}

/** Gathers what was made, and notes it together. Until then the missions are pending, and are not to be read again. */
export class Notes {
  readonly #deps: ProjectionDependencies;
  readonly #options: NotesOptions;
  #gathered: ToNote[] = [];
  readonly #unnoted = new Set<ToNote>();
  readonly #writing = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | null = null;

  constructor(deps: ProjectionDependencies, options: NotesOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  add(note: ToNote): void {
    this.#gathered.push(note);
    this.#unnoted.add(note);
    if (this.#gathered.length >= MOST_AT_ONCE) this.write();
    else this.#timer ??= setTimeout(() => this.write(), WITHIN_MS);
  }

  /** Those that are not noted yet. */
  missions(): PendingMission[] {
    return [...this.#unnoted].map(({ mission }) => mission);
  }

  /** Waits for no others. */
  write(): void {
    clearTimeout(this.#timer ?? undefined);
    this.#timer = null;
    if (this.#gathered.length === 0) return;
    const writing = this.#write(this.#gathered);
    this.#gathered = [];
    this.#writing.add(writing);
    void writing.then(() => this.#writing.delete(writing));
  }

  /** Once what is being written now was; never rejects. */
  async written(): Promise<void> {
    await Promise.all(this.#writing);
  }

  async #write(notes: readonly ToNote[]): Promise<void> {
    const noted = notes.length === 1 ? new Set<ToNote>() : await this.#writeTogether(notes);
    for (const note of noted) this.#end(note);
    await Promise.all(notes.filter((note) => !noted.has(note)).map((note) => this.#writeAlone(note)));
  }

  /** What fails for all is tried, and told of, one by one. */
  async #writeTogether(notes: readonly ToNote[]): Promise<ReadonlySet<ToNote>> {
    try {
      return await markAllApplied(this.#deps.database.system, notes);
    } catch {
      return new Set();
    }
  }

  async #writeAlone(note: ToNote): Promise<void> {
    try {
      await markApplied(this.#deps.database.system, note);
      this.#end(note);
    } catch (error) {
      await this.#options.onFailure(note, error);
      this.#unnoted.delete(note);
    }
  }

  #end(note: ToNote): void {
    this.#unnoted.delete(note);
    this.#options.onNoted(note);
  }
}
