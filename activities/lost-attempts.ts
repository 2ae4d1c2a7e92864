import type { Info } from '@temporalio/activity';
import { setTimeout as delay } from 'node:timers/promises';
import { MAX_LOST_ATTEMPTS, TurnTakenError } from '#domain/base/errors.ts';

/**
 * How often an activity took its worker with it. Neither the server nor the SDK tells an attempt that failed from one whose
 * worker died or went silent. So an attempt that fails in an orderly way says so in its last heartbeat, which the server
 * hands to the next one: what is missing between the attempt's number and that count was lost.
 */
export interface AttemptCount {
  /** Attempts that ended in an orderly way. */
  readonly ended: number;
  /** Attempts whose worker died or went silent. */
  readonly lost: number;
}

/** What a heartbeat of a counted activity carries. */
export interface AttemptDetails {
  readonly ended: number;
  /** The attempt is on its last chance and has its turn. */
  readonly lastChance?: true;
  /** Which round of several is asked, and the tokens of those before it in this activity. */
  readonly round?: number;
  readonly totalTokens?: number;
}

type CountedInfo = Pick<Info, 'attempt' | 'heartbeatDetails' | 'activityId' | 'workflowExecution'>;

/** Not for local activities: their attempts start again with 1 when the worker has died. */
export function countAttempts(info: CountedInfo): AttemptCount {
  const earlier = info.attempt - 1;
  const told = endedOf(info.heartbeatDetails);
  // Without a count, the earlier attempts were of a version that kept none, or died before their first heartbeat left:
  // they cost the activity its further chances, but not the last one.
  const known = told ?? Math.max(0, earlier - (MAX_LOST_ATTEMPTS - 1));
  const ended = Math.min(earlier, Math.max(known, endedHere.get(keyOf(info)) ?? 0));
  // One that died before its turn came did so beside the work of others: its last chance is still to come.
  const most = hadLastChance(info.heartbeatDetails) ? earlier : MAX_LOST_ATTEMPTS - 1;
  const lost = Math.min(earlier - ended, most);
  return { ended: earlier - lost, lost };
}

const hadLastChance = (details: unknown): boolean =>
  typeof details === 'object' && details !== null && 'lastChance' in details && details.lastChance === true;

/** Whether the count of earlier attempts has not reached the server yet. */
export const isUncounted = (info: CountedInfo): boolean =>
  info.attempt > 1 && endedOf(info.heartbeatDetails) === null;

const endedOf = (details: unknown): number | null =>
  typeof details === 'object' && details !== null && 'ended' in details && Number.isInteger(details.ended)
    ? Number(details.ended)
    : null;

/**
 * Attempts that ended in this very process although the server may not know: while Temporal is down, their last heartbeat
 * does not arrive and the server counts them as timed out.
 */
const endedHere = new Map<string, number>();
const MOST_REMEMBERED = 10_000;

/** Notes that an attempt has ended here, the oldest notes make room. */
export function noteEnd(info: CountedInfo, ended: number): void {
  const key = keyOf(info);
  endedHere.delete(key);
  endedHere.set(key, ended);
  const [oldest] = endedHere.keys();
  if (endedHere.size > MOST_REMEMBERED && oldest !== undefined) endedHere.delete(oldest);
}

const keyOf = ({ workflowExecution, activityId }: CountedInfo): string =>
  JSON.stringify([workflowExecution?.runId, activityId]);

let isTurnTaken = false;
/** Told that the turn is theirs, in the order in which they came. */
const waiting: (() => void)[] = [];

/**
 * The turn of whatever is on its last chance, one at a time in a process: what dies in its neighbourhood meanwhile was not
 * on its own last chance, so one poison pill costs one run.
 *
 * @returns gives the turn back; null while somebody else has it
 */
export function takeTurn(): (() => void) | null {
  if (isTurnTaken) return null;
  isTurnTaken = true;
  return giveTurnBack;
}

function giveTurnBack(): void {
  const next = waiting.shift();
  if (next === undefined) isTurnTaken = false;
  else next();
}

/**
 * The same, waiting for others in the order of their coming. Each further attempt would lengthen the pause that the server
 * makes when one dies: five minutes after ten of them.
 *
 * @param signal ends the waiting; its reason is thrown
 * @throws TurnTakenError when the turn has not come within `withinMs`
 */
export async function waitForTurn(signal: AbortSignal, withinMs: number): Promise<() => void> {
  const taken = takeTurn();
  if (taken !== null) return taken;
  const { promise: isOurs, resolve: enter } = Promise.withResolvers<undefined>();
  const entering = (): void => enter(undefined);
  waiting.push(entering);
  const over = new AbortController();
  const tooLate = delay(withinMs, undefined, { signal: AbortSignal.any([signal, over.signal]) });
  await Promise.race([isOurs, tooLate.catch(() => undefined)]);
  over.abort();
  const index = waiting.indexOf(entering);
  // It may have come in the very moment in which the waiting ended.
  if (index < 0) return giveTurnBack;
  waiting.splice(index, 1);
  signal.throwIfAborted();
  throw new TurnTakenError();
}

export const isLastChance = (lost: number): boolean => lost === MAX_LOST_ATTEMPTS - 1;
