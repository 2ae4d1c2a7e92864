import { writesOfField, writesOfRow } from '#domain/change-log/field-merge.ts';
import { type ChangeRow, RUNNER_CLIENT_ID } from '#domain/wire/rows.ts';
import { acceptableIterations } from './iterations.ts';
import { loses, overwrittenBy, withStepsOfMembers, type MemberWrites } from './space-members.ts';
import {
  idOf,
  isFilled,
  isObject,
  isOurClaim,
  overallRank,
  startMsOf,
  stepRank,
  stepsOf,
  type StoredObject,
} from '#domain/wire/iteration.ts';
import { nextAfter, outlineOf, replacedFailuresIn, type FailureOutline } from './replaced-failures.ts';

/** What has to be written so that nothing is lost that only an overwritten array holds. */
export interface Healing {
  /** Names the row whose array stands now. One write for each is enough: the write's id is derived from this. */
  readonly overwritingRowId: string;
  /** The whole array to write. */
  readonly iterations: readonly StoredObject[];
  /** How many of them were put back, or got back what they had lost. */
  readonly restored: number;
}

/** One row's array. */
interface Write {
  readonly rowId: string;
  readonly byUs: boolean;
  readonly iterations: readonly StoredObject[];
}

/** All that was ever written of each iteration, the version to be trusted most at the end. */
type Versions = ReadonlyMap<string, readonly StoredObject[]>;

/**
 * The array that loses nothing (docs/architecture.md section 4, "Healing"). Devices re-send whole arrays and the last writer
 * wins: one that had not pulled takes our iterations away from everybody, and our own write takes away what a device
 * wrote while we were reading (docs/platform.md section 1). It holds
 *
 * - what stands there now; nothing is ever taken out;
 * - iterations of ours that it lacks, but for failures that we replaced on purpose. What a device removed of its own
 *   stays removed;
 * - where the winning row is ours: what the newest row of a device holds beside it;
 * - each in the newest version of any device, because ours only hand on what we had read; with the newest feedback that is
 *   not empty; and with the furthest state of each step, the newest of several.
 *
 * It depends on nothing but the rows and holds all they hold, so the row that writes it turns the answer into null: the
 * writes end.
 *
 * @param rows all rows of one mission of one user, in any order
 * @returns null when there is nothing to write, and where we never wrote an iteration
 */
export function healingOf(rows: readonly ChangeRow[]): Healing | null {
  const writes = writesOfField(rows, 'iterations').map(({ row, value }) => ({
    rowId: row.id,
    byUs: row.clientId === RUNNER_CLIENT_ID,
    iterations: acceptableIterations(value),
  }));
  const winner = writes.at(-1);
  if (winner === undefined || !writes.some(({ byUs }) => byUs)) return null;
  // A device that had pulled a claim hands it on for ever; what the run came to is never taken back.
  const settled = withoutSettledClaims(writes);
  const versions = versionsById(settled);
  // The user may have said something to a run that was under way.
  const everWritten = versionsById(writes);
  const healed = winner.iterations.map((iteration) =>
    healedVersion(versions.get(idOf(iteration) ?? '') ?? [iteration], everWritten),
  );
  const changed = healed.filter((iteration, index) => !isSameJson(iteration, winner.iterations[index]));
  const lost = lostIds(settled, winner, { versions, everWritten }).map((id) =>
    healedVersion(versions.get(id) ?? [], everWritten),
  );
  if (changed.length + lost.length === 0) return null;
  return {
    overwritingRowId: winner.rowId,
    iterations: lost.length === 0 ? healed : inOrderOfStart([...healed, ...lost]),
    restored: changed.length + lost.length,
  };
}

/**
 * The same with what other members of the mission's space did. A member's array that stands over ours and lacks something of it, or says
 * something else, is overwritten in turn; the steps that members' devices have carried out stay so.
 *
 * @param rows of the mission's own user
 */
export function healingAmong(rows: readonly ChangeRow[], members: readonly MemberWrites[]): Healing | null {
  const own = healingOf(rows);
  const writes = writesOfField(rows, 'iterations');
  const winner = writes.at(-1);
  if (
    members.length === 0 ||
    winner === undefined ||
    !writes.some(({ row }) => row.clientId === RUNNER_CLIENT_ID)
  )
    return own;
  const standing = own?.iterations ?? acceptableIterations(winner.value);
  const wanted = withStepsOfMembers(standing, members);
  const position = writesOfRow(winner.row).find(({ field }) => field === 'iterations')?.position ?? null;
  const overwrite = overwrittenBy(position, members);
  if (overwrite === null) {
    if (wanted === standing) return own;
    return { overwritingRowId: winner.row.id, iterations: wanted, restored: (own?.restored ?? 0) + 1 };
  }
  // One that is too large to be outlined lost nobody knows what: the next array of ours replaces it.
  if (overwrite.outline === null) return own;
  if (!loses(overwrite.outline, wanted)) return null;
  return {
    // A record may be a mission of several users, who each write it.
    overwritingRowId: `${overwrite.position.rowId} ${winner.row.id}`,
    iterations: wanted,
    restored: (own?.restored ?? 0) + 1,
  };
}

function withoutSettledClaims(writes: readonly Write[]): Write[] {
  const ended = new Set(
    writes
      .flatMap(({ iterations }) => iterations)
      .filter((iteration) => iteration['source'] === 'server' && !isOurClaim(iteration))
      .map(idOf),
  );
  return writes.map((write) => ({
    ...write,
    iterations: write.iterations.filter((iteration) => !isOurClaim(iteration) || !ended.has(idOf(iteration))),
  }));
}

function versionsById(writes: readonly Write[]): Versions {
  const versions = new Map<string, StoredObject[]>();
  const byTrust = [...writes.filter(({ byUs }) => byUs), ...writes.filter(({ byUs }) => !byUs)];
  for (const iteration of byTrust.flatMap((write) => write.iterations)) {
    const id = idOf(iteration);
    if (id === null) continue;
    const known = versions.get(id);
    if (known === undefined) versions.set(id, [iteration]);
    else known.push(iteration);
  }
  return versions;
}

function lostIds(
  writes: readonly Write[],
  winner: Write,
  { versions, everWritten }: { readonly versions: Versions; readonly everWritten: Versions },
): string[] {
  const ourArrays = writes.filter(({ byUs }) => byUs).map(({ iterations }) => iterations);
  const ours = ourArrays.flat().filter((iteration) => iteration['source'] === 'server');
  const ofDevice = winner.byUs ? writes.findLast(({ byUs }) => !byUs)?.iterations : undefined;
  const present = new Set(winner.iterations.map(idOf));
  const absent = [...ours, ...(ofDevice ?? [])].map(idOf).filter((id) => id !== null && !present.has(id));
  const isReplaced = replacedBy(
    ourArrays.map((iterations) => iterations.map(outlineOf)),
    ours.map(outlineOf),
  );
  const hasFeedback = (id: string): boolean =>
    everWritten.get(id)?.some((version) => isFilled(version['userFeedback'])) === true;
  return [...new Set(absent)]
    .filter((id) => id !== null)
    .filter((id) => hasFeedback(id) || !isReplaced(versions.get(id) ?? []));
}

/** Whether a failure was left out because the next one repeats it: then its absence is no loss. What the user said is for who asks to know. */
function replacedBy(
  ourArrays: readonly (readonly FailureOutline[])[],
  ours: readonly FailureOutline[],
): (versions: readonly StoredObject[]) => boolean {
  const nextOfOurs = nextAfter(ours);
  const isReplacedInOne = ourArrays.map((array) => replacedFailuresIn(array, nextOfOurs));
  return (versions) =>
    distinctOutlines(versions).some((outline) => isReplacedInOne.some((isReplaced) => isReplaced(outline)));
}

/** Most versions of an iteration begin and fail alike. */
const distinctOutlines = (versions: readonly StoredObject[]): FailureOutline[] => [
  ...new Map(
    versions.map(outlineOf).map((outline) => [`${outline.startMs} ${outline.failure ?? ''}`, outline]),
  ).values(),
];

function healedVersion(versions: readonly StoredObject[], everWritten: Versions): StoredObject {
  const base = versions.at(-1) ?? {};
  const plan = base['plan'];
  const states = stepStates(versions);
  return withFields(base, {
    userFeedback: newestFilled(everWritten.get(idOf(base) ?? '') ?? versions, 'userFeedback'),
    // A device's own run may be marked as failed and still go on; ours had ended when it was written.
    overallStatus: base['source'] === 'server' ? furthest(versions, 'overallStatus', overallRank) : undefined,
    plan: Array.isArray(plan) ? plan.map((step: unknown) => healedStep(step, states)) : undefined,
  });
}

/** All that was ever written of each step, by its id. */
function stepStates(versions: readonly StoredObject[]): ReadonlyMap<string, readonly StoredObject[]> {
  const states = new Map<string, StoredObject[]>();
  for (const step of versions.flatMap(stepsOf)) {
    const id = isObject(step) ? idOf(step) : null;
    if (!isObject(step) || id === null) continue;
    const known = states.get(id);
    if (known === undefined) states.set(id, [step]);
    else known.push(step);
  }
  return states;
}

function healedStep(step: unknown, statesOf: ReadonlyMap<string, readonly StoredObject[]>): unknown {
  const id = isObject(step) ? idOf(step) : null;
  if (!isObject(step) || id === null) return step;
  const states = statesOf.get(id) ?? [];
  return withFields(step, {
    status: furthest(states, 'status', stepRank),
    proposalId: newestFilled(states, 'proposalId'),
  });
}

/** Of the values of a field that got furthest the newest. */
const furthest = (
  objects: readonly StoredObject[],
  field: string,
  rankOf: (value: unknown) => number,
): unknown =>
  objects
    .map((object) => object[field])
    .reduce<unknown>((best, value) => (rankOf(value) >= rankOf(best) ? value : best), undefined);

const newestFilled = (objects: readonly StoredObject[], field: string): unknown =>
  objects.map((object) => object[field]).findLast(isFilled);

/** A field that nobody ever filled is left as it is. */
const withFields = (object: StoredObject, fields: StoredObject): StoredObject => ({
  ...object,
  ...Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)),
});

/** Ours among the others by the time of their start. */
const inOrderOfStart = (iterations: readonly StoredObject[]): StoredObject[] =>
  iterations.toSorted((a, b) => startMsOf(a) - startMsOf(b));

/** The database gives the keys of an object in an order of its own. */
function isSameJson(left: unknown, right: unknown): boolean {
  if (Array.isArray(left) && Array.isArray(right)) {
    return left.length === right.length && left.every((item, index) => isSameJson(item, right[index]));
  }
  if (!isObject(left) || !isObject(right)) return Object.is(left, right);
  const keys = Object.keys(left);
  return (
    keys.length === Object.keys(right).length &&
    keys.every((key) => Object.hasOwn(right, key) && isSameJson(left[key], right[key]))
  );
}
