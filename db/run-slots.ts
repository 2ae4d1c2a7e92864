import type { IterationId, UserId, MissionId, WorkflowRunId } from '#domain/base/ids.ts';
import type { SystemSql, UserTransaction } from './client.ts';
import { sql } from './sql.ts';
import { MAX_LOST_ATTEMPTS } from '#domain/base/errors.ts';

/** A run that holds its mission, and its agent if `agentId` is set. */
export interface RunSlot {
  readonly missionId: MissionId;
  readonly agentId: string | null;
  readonly workflowId: string;
  readonly runId: WorkflowRunId;
  /** Null until it is known which. */
  readonly iterationId: IterationId | null;
}

const MAX_CLAIM_TRIES = 3;

const slotColumns = sql`
  mission_id as "missionId", agent_id as "agentId", workflow_id as "workflowId", run_id as "runId",
  nullif(iteration_id, '') as "iterationId"`;

/** A stage that begins: how often it has begun before without an orderly end. */
export interface BegunStage {
  readonly lost: number;
  /** Null until it is known which. */
  readonly iterationId: IterationId | null;
}

/**
 * Claims the mission for a run and counts that its loading begins, or finds who holds it. Claiming again is harmless.
 *
 * @returns the holder where it is another run
 */
export async function claimMissionSlot(
  tx: UserTransaction,
  run: Pick<RunSlot, 'missionId' | 'workflowId' | 'runId'>,
  triesLeft = MAX_CLAIM_TRIES,
): Promise<BegunStage | { readonly holder: RunSlot }> {
  tx.ahead`
    insert into mana_ai.run_slots (user_id, mission_id, workflow_id, run_id, iteration_id)
    values (${tx.userId}, ${run.missionId}, ${run.workflowId}, ${run.runId}, '')
    on conflict (user_id, mission_id) do nothing`;
  // Of another's slot nothing is counted.
  const [[holder], begun] = await Promise.all([
    tx<RunSlot[]>`
      select ${slotColumns} from mana_ai.run_slots
      where user_id = ${tx.userId} and mission_id = ${run.missionId} for update`,
    beginStage(tx, run, 'load'),
  ]);
  // No row: its holder let go between the two statements; whoever asks again will get it. Of a user who was erased there is none.
  if (holder === undefined && triesLeft > 1) return claimMissionSlot(tx, run, triesLeft - 1);
  if (holder === undefined) throw new Error('the mission has no slot, and none can be made');
  return holder.runId === run.runId ? begun : { holder };
}

/**
 * Takes the mission over from a run that is closed: compare-and-set on the run id, so that of two runs that both found
 * the dead one only one wins.
 */
export async function takeOverMissionSlot(
  tx: UserTransaction,
  deadRunId: string,
  run: Pick<RunSlot, 'missionId' | 'workflowId' | 'runId'>,
): Promise<boolean> {
  const rows = await tx`
    update mana_ai.run_slots
    set workflow_id = ${run.workflowId}, run_id = ${run.runId}, agent_id = null, begun = 0, ends_begun = 0,
      claimed_at = clock_timestamp(),
      -- A run that was reset goes on with its iteration: its workflow is the same.
      iteration_id = case when workflow_id = ${run.workflowId} then iteration_id else '' end
    where user_id = ${tx.userId} and mission_id = ${run.missionId} and run_id = ${deadRunId}
    returning run_id`;
  return rows.length > 0;
}

/**
 * What is counted of a run. Its stages may all be part of one workflow task: a worker that dies of a later one takes the answer of
 * an earlier one along, which is then done once more. So one must not begin the other's count anew.
 */
export type CountedPart = 'load' | 'end';

const counts = { load: sql`begun`, end: sql`ends_begun` };

/**
 * Counts that a stage of the run begins; what counts is what is committed before the stage does anything else. A stage on its
 * last chance is not counted before it has its turn (`beginLastChance`): it would lose that chance with a neighbour that dies
 * while it waits.
 *
 * @returns how often it has begun before without an orderly end; 0 if the run does not hold its mission
 */
export async function beginStage(
  tx: UserTransaction,
  run: Pick<RunSlot, 'missionId' | 'runId'>,
  part: CountedPart,
): Promise<BegunStage> {
  const count = counts[part];
  const [slot] = await tx<{ lost: number; iterationId: IterationId | null }[]>`
    with slot as (
      select user_id, mission_id, ${count} as lost from mana_ai.run_slots
      where user_id = ${tx.userId} and mission_id = ${run.missionId} and run_id = ${run.runId} for update
    )
    update mana_ai.run_slots as held
    set ${count} = case when slot.lost < ${MAX_LOST_ATTEMPTS - 1} then slot.lost + 1 else slot.lost end
    from slot where held.user_id = slot.user_id and held.mission_id = slot.mission_id
    returning slot.lost, nullif(held.iteration_id, '') as "iterationId"`;
  return slot ?? { lost: 0, iterationId: null };
}

/**
 * Counts that a stage begins for the last time.
 *
 * @returns false when another attempt has begun it, or ended it, meanwhile
 */
export async function beginLastChance(
  tx: UserTransaction,
  run: Pick<RunSlot, 'missionId' | 'runId'>,
  part: CountedPart,
): Promise<boolean> {
  const count = counts[part];
  const rows = await tx`
    update mana_ai.run_slots set ${count} = ${MAX_LOST_ATTEMPTS}
    where user_id = ${tx.userId} and mission_id = ${run.missionId} and run_id = ${run.runId}
      and ${count} = ${MAX_LOST_ATTEMPTS - 1}
    returning run_id`;
  return rows.length > 0;
}

/** Counts that a stage has ended in an orderly way, well or not; `lost` attempts of it did not. */
export function endStage(
  tx: UserTransaction,
  run: Pick<RunSlot, 'missionId' | 'runId'>,
  part: CountedPart,
  lost: number,
): void {
  const count = counts[part];
  tx.ahead`
    update mana_ai.run_slots set ${count} = least(${count}, ${lost}::smallint)
    where user_id = ${tx.userId} and mission_id = ${run.missionId} and run_id = ${run.runId}`;
}

/** Records the iteration that the run works on; with that, the stage that finds it has ended well. */
export function setSlotIteration(
  tx: UserTransaction,
  slot: Pick<RunSlot, 'missionId' | 'runId'> & { readonly iterationId: IterationId },
): void {
  tx.ahead`
    update mana_ai.run_slots set iteration_id = ${slot.iterationId}, begun = 0
    where user_id = ${tx.userId} and mission_id = ${slot.missionId} and run_id = ${slot.runId}`;
}

/** The iteration that this very run works on; null while it works on none, and when it holds nothing. */
export const readSlotIteration = async (
  tx: UserTransaction,
  run: Pick<RunSlot, 'missionId' | 'runId'>,
): Promise<IterationId | null> => (await findOwnSlot(tx, run))?.iterationId ?? null;

/** What this very run holds of its mission, which nobody takes over before the transaction has ended; null when it holds nothing (any more). */
export async function findOwnSlot(
  tx: UserTransaction,
  run: Pick<RunSlot, 'missionId' | 'runId'>,
): Promise<Pick<RunSlot, 'iterationId'> | null> {
  const [row] = await tx<Pick<RunSlot, 'iterationId'>[]>`
    select nullif(iteration_id, '') as "iterationId" from mana_ai.run_slots
    where user_id = ${tx.userId} and mission_id = ${run.missionId} and run_id = ${run.runId} for update`;
  return row ?? null;
}

/**
 * Whether this very run still holds its mission. Its end waits for our transaction: what is stored in it will be
 * forgotten with the rest.
 */
export const holdsSlot = async (
  tx: UserTransaction,
  run: Pick<RunSlot, 'missionId' | 'runId'>,
): Promise<boolean> => (await readOwnSlot(tx, run)) !== null;

/**
 * The same for the vault, which has no right to keep a slot as it is: call it under the mission's lock, which whoever ends a run that
 * has come so far takes as well.
 */
export async function isSlotHolder(
  tx: UserTransaction,
  run: Pick<RunSlot, 'missionId' | 'runId'>,
): Promise<boolean> {
  const rows = await tx`
    select run_id from mana_ai.run_slots
    where user_id = ${tx.userId} and mission_id = ${run.missionId} and run_id = ${run.runId}`;
  return rows.length > 0;
}

/** What this very run holds, as `holdsSlot` sees it; null when it holds nothing (any more). */
export async function readOwnSlot(
  tx: UserTransaction,
  run: Pick<RunSlot, 'missionId' | 'runId'>,
): Promise<Pick<RunSlot, 'agentId'> | null> {
  const [row] = await tx<Pick<RunSlot, 'agentId'>[]>`
    select agent_id as "agentId" from mana_ai.run_slots
    where user_id = ${tx.userId} and mission_id = ${run.missionId} and run_id = ${run.runId} for share`;
  return row ?? null;
}

/** Lets go of the agent's place, not of the mission. */
export async function releaseAgent(
  tx: UserTransaction,
  run: Pick<RunSlot, 'missionId' | 'runId'>,
): Promise<void> {
  await tx`
    update mana_ai.run_slots set agent_id = null
    where user_id = ${tx.userId} and mission_id = ${run.missionId} and run_id = ${run.runId}
      and agent_id is not null`;
}

/** Counts the run among its agent's missions. */
export async function holdAgent(
  tx: UserTransaction,
  slot: { readonly missionId: string; readonly runId: string; readonly agentId: string },
): Promise<void> {
  await tx`
    update mana_ai.run_slots set agent_id = ${slot.agentId}, claimed_at = clock_timestamp()
    where user_id = ${tx.userId} and mission_id = ${slot.missionId} and run_id = ${slot.runId}`;
}

/** Slots that other missions hold of one agent. */
export async function otherSlotsOfAgent(
  tx: UserTransaction,
  agentId: string,
  missionId: string,
): Promise<RunSlot[]> {
  return await tx<RunSlot[]>`
    select ${slotColumns} from mana_ai.run_slots
    where user_id = ${tx.userId} and agent_id = ${agentId} and mission_id <> ${missionId}`;
}

/** Longer than the way from a run's load to its first round where nothing is to be waited for. */
const FIRST_ROUND_WITHIN = sql`interval '1 minute'`;

/**
 * Frees an agent's places of other missions whose runs have asked the model nothing yet, long after they began: they wait, for the
 * vault worker perhaps, and take a place again before they ask (`readOwnSlot`).
 *
 * @returns how many
 */
export async function releaseWaitingPlaces(
  tx: UserTransaction,
  agentId: string,
  missionId: string,
): Promise<number> {
  // Locked first: one that prepares its first round just now holds its slot, and is seen to have asked in the next statement.
  const waiting = await tx<{ runId: string }[]>`
    select run_id as "runId" from mana_ai.run_slots
    where user_id = ${tx.userId} and agent_id = ${agentId} and mission_id <> ${missionId}
      and claimed_at < clock_timestamp() - ${FIRST_ROUND_WITHIN} for update skip locked`;
  const freed = await tx`
    update mana_ai.run_slots slots set agent_id = null
    where user_id = ${tx.userId} and agent_id = ${agentId} and run_id = any(${waiting.map(({ runId }) => runId)}::text[])
      and not exists (select from mana_ai.model_calls calls
        where calls.user_id = slots.user_id and calls.iteration_id = slots.iteration_id)
    returning run_id`;
  return freed.length;
}

/**
 * Slots of all users that were claimed so long ago, by the database's clock, for the sweep, one page in the order of their key; ids only.
 *
 * @param after the last slot of the page before: those of runs that go on must not hide the others
 */
export async function listSlotsOlderThan(
  tx: SystemSql,
  ageMs: number,
  after: { readonly userId: UserId; readonly missionId: MissionId } | null,
): Promise<(RunSlot & { readonly userId: UserId })[]> {
  return await tx<(RunSlot & { readonly userId: UserId })[]>`
    select user_id as "userId", ${slotColumns} from mana_ai.run_slots
    where claimed_at < statement_timestamp() - ${ageMs}::float8 * interval '1 millisecond'
      and (user_id, mission_id) > (${after?.userId ?? ''}, ${after?.missionId ?? ''})
    order by user_id, mission_id limit 1000`;
}
