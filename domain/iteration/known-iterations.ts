import { checksum } from '#domain/base/json.ts';
import { acceptableIterations } from './iterations.ts';
import {
  idOf,
  isFilled,
  isObject,
  isOurClaim,
  overallRank,
  stepRank,
  stepsOf,
  type StoredObject,
} from '#domain/wire/iteration.ts';
import { nextAfter, outlineOf, replacedFailuresIn, type FailureOutline } from './replaced-failures.ts';

/**
 * What the rows so far held of a mission's iterations, as far as it takes to see that a new row lost some of it: ids,
 * ranks, times and checksums, never a text. Plain JSON, some 100 bytes for an iteration; kept with the snapshot, so that
 * a new row is checked without the older ones.
 */
export interface KnownIterations {
  /** Whether a run of ours ever wrote: what devices do to one another before that is not ours to heal. */
  readonly weWrote: boolean;
  readonly iterations: readonly KnownIteration[];
  /** Checksums of the entries of the array that stands now. */
  readonly standing: readonly number[];
  /** Nothing of them is kept any more; every row that writes `iterations` may need healing. */
  readonly tooMany: boolean;
}

/** Of what is kept of a mission's iterations, as JSON, roughly. */
const MAX_KNOWN_CHARS = 400_000;
const ITERATION_CHARS = 140;
const STEP_CHARS = 50;
const CHECKSUM_CHARS = 11;

export interface KnownIteration extends FailureOutline {
  readonly id: string;
  /** Of source `server`: to be put back where it is missing. */
  readonly ours: boolean;
  readonly hasFeedback: boolean;
  readonly rank: number;
  readonly steps: readonly KnownStep[];
}

interface KnownStep {
  readonly id: string;
  readonly rank: number;
  readonly hasProposal: boolean;
}

export const NO_KNOWN_ITERATIONS: KnownIterations = {
  weWrote: false,
  iterations: [],
  standing: [],
  tooMany: false,
};

/** A row that writes `iterations`. */
export interface IterationsWrite {
  readonly value: unknown;
  /** Its `client_id` is `RUNNER_CLIENT_ID`. */
  readonly byUs: boolean;
  /** Whether it is the latest by field time, `created_at` and id of all rows taken in so far. */
  readonly wins: boolean;
}

/**
 * Takes in one row, in whatever order rows come, and says whether `healingOf` may have something to write now: never no
 * where it has, seldom yes where it has not. So the projection can start healing without reading a mission's older rows.
 *
 * @example const { known, mayNeedHealing } = takeInIterations(snapshot.knownIterations, { value, byUs, wins })
 */
export function takeInIterations(
  known: KnownIterations,
  write: IterationsWrite,
): { readonly known: KnownIterations; readonly mayNeedHealing: boolean } {
  const weWrote = known.weWrote || write.byUs;
  if (known.tooMany) return { known: { ...known, weWrote }, mayNeedHealing: weWrote };
  const entries = acceptableIterations(write.value);
  const seen = entries.map(knownOf).filter((each) => each !== null);
  const union = joined(known.iterations, seen);
  const all = write.byUs ? withoutReplaced(union, entries.map(outlineOf)) : union;
  // One that comes late, or with an old time, is rare enough to look at all rows.
  if (!write.wins) return { known: bounded({ ...known, weWrote, iterations: all }), mayNeedHealing: weWrote };
  const present = new Map(seen.map((each) => [each.id, each]));
  const isLost = all.some((each) => !keeps(present.get(each.id), each));
  // A claim of ours is replaced on purpose, but not what the user said to it.
  const standing = entries
    .filter((each) => !isOurClaim(each) || isFilled(each['userFeedback']))
    .map(checksum);
  const stands = new Set(standing);
  // A row of ours hands on what it read: whatever it does not hold was written while it read.
  const isUnread = write.byUs && known.standing.some((sum) => !stands.has(sum));
  return {
    known: bounded({ weWrote, iterations: all, standing, tooMany: false }),
    mayNeedHealing: weWrote && (isLost || isUnread),
  };
}

/** Whoever writes iterations without end must not make the snapshot grow with them. */
function bounded(known: KnownIterations): KnownIterations {
  let chars = known.standing.length * CHECKSUM_CHARS;
  for (const { id, steps } of known.iterations) {
    chars += ITERATION_CHARS + id.length;
    for (const step of steps) chars += STEP_CHARS + step.id.length;
  }
  return chars <= MAX_KNOWN_CHARS
    ? known
    : { weWrote: known.weWrote, iterations: [], standing: [], tooMany: true };
}

/** A failure that we replaced is missing on purpose, unless the user had commented on it. */
function withoutReplaced(
  known: readonly KnownIteration[],
  ourArray: readonly FailureOutline[],
): readonly KnownIteration[] {
  const isReplaced = replacedFailuresIn(ourArray, nextAfter(known.filter((each) => each.ours)));
  return known.filter((each) => each.hasFeedback || !isReplaced(each));
}

function knownOf(iteration: StoredObject): KnownIteration | null {
  const id = idOf(iteration);
  if (id === null) return null;
  const ours = iteration['source'] === 'server';
  return {
    ...outlineOf(iteration),
    id,
    ours,
    hasFeedback: isFilled(iteration['userFeedback']),
    rank: ours ? overallRank(iteration['overallStatus']) : 0,
    steps: stepsOf(iteration)
      .filter((step) => isObject(step))
      .map((step) => ({
        id: idOf(step) ?? '',
        rank: stepRank(step['status']),
        hasProposal: isFilled(step['proposalId']),
      })),
  };
}

function joined(known: readonly KnownIteration[], seen: readonly KnownIteration[]): KnownIteration[] {
  const byId = new Map(known.map((each) => [each.id, each]));
  for (const each of seen) {
    const other = byId.get(each.id);
    byId.set(each.id, other === undefined ? each : join(other, each));
  }
  return [...byId.values()];
}

function join(known: KnownIteration, seen: KnownIteration): KnownIteration {
  const furthest = new Map<string, KnownStep>();
  for (const step of known.steps) furthest.set(step.id, furtherOf(step, furthest.get(step.id)));
  return {
    ...seen,
    failure: known.failure ?? seen.failure,
    ours: known.ours || seen.ours,
    hasFeedback: known.hasFeedback || seen.hasFeedback,
    rank: Math.max(known.rank, seen.rank),
    steps: seen.steps.map((step) => furtherOf(step, furthest.get(step.id))),
  };
}

const furtherOf = (step: KnownStep, other: KnownStep | undefined): KnownStep =>
  other === undefined
    ? step
    : {
        id: step.id,
        rank: Math.max(step.rank, other.rank),
        hasProposal: step.hasProposal || other.hasProposal,
      };

/** @param now what the standing array holds of the iteration */
function keeps(now: KnownIteration | undefined, all: KnownIteration): boolean {
  if (now === undefined) return !all.ours;
  if ((all.hasFeedback && !now.hasFeedback) || now.rank < all.rank) return false;
  // Of steps that share an id, the one that lost most decides.
  const least = new Map<string, KnownStep>();
  for (const step of now.steps) {
    const other = least.get(step.id);
    const rank = Math.min(step.rank, other?.rank ?? step.rank);
    least.set(step.id, { id: step.id, rank, hasProposal: step.hasProposal && (other?.hasProposal ?? true) });
  }
  return all.steps.every((step) => {
    const kept = least.get(step.id);
    return kept === undefined || (kept.rank >= step.rank && (kept.hasProposal || !step.hasProposal));
  });
}
