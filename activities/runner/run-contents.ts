import {
  readInputs,
  recordsOf,
  unsealInputs,
  resolveInputs,
  type OpenedRecords,
  type Unsealed,
  type ResolvedInputs,
} from './resolve-inputs.ts';
import type { MissionScope } from './run-scope.ts';
import { isEncryptedValue } from '#crypto/field-value.ts';
import { recordKey } from '#db/sync-changes.ts';
import type { Agent } from '#domain/wire/agent.ts';
import { languageOf, type PromptLanguage } from '#domain/base/language.ts';
import { ENCRYPTED_MISSION_FIELDS, type Mission, type MissionInput } from '#domain/wire/mission.ts';
import { visibleText } from '#domain/base/text/prompt-text.ts';
import type { WordsProblem } from '#domain/run/run.ts';

/** What its user says of a mission, in clear. */
export interface RunWords {
  /** Null where a field is absent or stays closed. */
  readonly mission: {
    readonly title: string | null;
    readonly conceptMarkdown: string | null;
    readonly objective: string | null;
  };
  /** Of the mission's own words. */
  readonly language: PromptLanguage;
  /** Null for a mission without an agent. */
  readonly agent: Pick<Agent, 'id' | 'name' | 'role' | 'systemPrompt' | 'memory'> | null;
}

/** What a run may read, in clear: for its prompt and for the tools that only read. */
export interface RunContents extends RunWords, ResolvedInputs {
  readonly unopened: Unsealed['unopened'];
}

/** Its words, and which records there are to read. */
export interface RunOutline extends RunWords {
  readonly records: readonly MissionInput[];
}

/** Records whose words are no inputs; they are sealed like those. */
const TABLES_OF_WORDS = ['aiMissions', 'agents'];

/**
 * Reads the mission, its agent, its inputs and what else the grant covers, with what was sealed for this run in place
 * of the ciphertext. Ciphertext that was not sealed stays out: such an input is named as unreadable.
 *
 * @param agent of the run, as it was read in this transaction; null where its words are not needed, too
 */
export async function readContents(scope: MissionScope, agent: Agent | null): Promise<RunContents> {
  const { tx, run } = scope;
  const { mission } = scope.read;
  const [unsealed, stored] = await Promise.all([
    run.grantUsable ? unsealInputs(scope) : null,
    readInputs(tx, mission, { isGranted: run.grantUsable, large: 'clear' }),
  ]);
  const opened = unsealed?.records ?? null;
  return {
    ...openWords(scope, agent, opened),
    ...resolveInputs(mission, stored, opened),
    unopened: unsealed?.unopened ?? [],
  };
}

/**
 * The same for a round whose prompt stands: it needs the words, and of the records which ones there are now. What is in them is
 * neither read nor opened.
 *
 * @param unopened what the first round could not open; under the run's key it stays closed
 */
export async function readOutline(
  scope: MissionScope,
  agent: Agent | null,
  unopened: Unsealed['unopened'],
): Promise<RunOutline> {
  const { tx, run } = scope;
  const [unsealed, stored] = await Promise.all([
    run.grantUsable ? unsealInputs(scope, TABLES_OF_WORDS) : null,
    readInputs(tx, scope.read.mission, { isGranted: run.grantUsable, large: 'none' }),
  ]);
  const keysOf = (records: Unsealed['left']): string[] =>
    records.map(({ table, recordId }) => recordKey(table, recordId));
  const closed = new Set(keysOf(unopened));
  const opening = new Set(keysOf(unsealed?.left ?? []).filter((key) => !closed.has(key)));
  return { ...openWords(scope, agent, unsealed?.records ?? null), records: recordsOf(stored, opening) };
}

/** The mission's own words alone; nothing else is read or opened. */
export async function readWords(scope: MissionScope): Promise<Pick<RunWords, 'mission' | 'language'>> {
  const unsealed = scope.run.grantUsable ? await unsealInputs(scope, ['aiMissions']) : null;
  return openWords(scope, null, unsealed?.records ?? null);
}

function openWords({ run, read }: MissionScope, agent: Agent | null, opened: OpenedRecords | null): RunWords {
  const words = missionWords(read.mission, opened?.get(recordKey('aiMissions', run.missionId)) ?? {});
  return {
    mission: words,
    language: languageOf([words.title, words.objective, words.conceptMarkdown]),
    agent: agent === null ? null : openAgent(agent, opened),
  };
}

/** The mission's own words: each as it was sealed for the run, else as it stands in clear, else null. */
export const missionWords = (
  mission: Mission,
  sealed: Readonly<Record<string, unknown>>,
): RunContents['mission'] => ({
  title: plain(sealed['title'] ?? mission.title),
  conceptMarkdown: plain(sealed['conceptMarkdown'] ?? mission.conceptMarkdown),
  objective: plain(sealed['objective'] ?? mission.objective),
});

/**
 * Whether the user's own words are there: without them the model is not asked, whatever else it could read. Words may have
 * become ciphertext since the run began.
 *
 * @returns null when they are
 */
export function problemOfWords(
  mission: Mission,
  { mission: words, unopened }: Pick<RunContents, 'mission' | 'unopened'>,
): WordsProblem | null {
  const isClosed = ENCRYPTED_MISSION_FIELDS.some(
    (field) => words[field] === null && isEncryptedValue(mission[field]),
  );
  if (isClosed) {
    const isOfMission = unopened.some(
      ({ table, recordId }) => table === 'aiMissions' && recordId === mission.id,
    );
    return isOfMission ? 'key-changed' : 'mission-undecryptable';
  }
  return Object.values(words).every((text) => visibleText(text ?? '') === '') ? 'mission-empty' : null;
}

function openAgent(
  { id, name, role, systemPrompt, memory }: Agent,
  opened: OpenedRecords | null,
): RunContents['agent'] {
  const fields = opened?.get(recordKey('agents', id)) ?? {};
  return {
    ...{ id, name, role },
    systemPrompt: plain(fields['systemPrompt'] ?? systemPrompt),
    memory: plain(fields['memory'] ?? memory),
  };
}

/** A text that may be shown to the model: never ciphertext, never another type. */
const plain = (value: unknown): string | null =>
  typeof value === 'string' && !isEncryptedValue(value) ? value : null;
