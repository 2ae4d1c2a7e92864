import type { UserTransaction } from './client.ts';
import type { RunSlot } from './run-slots.ts';
import type { MissionId } from '#domain/base/ids.ts';
import type { Cadence } from '#domain/wire/mission.ts';

/** What the API knows of a mission: what the projection keeps, and what the user asked for. */
export interface ProjectedMission {
  readonly state: string | null;
  readonly cadence: Cadence | null;
  /** Epoch milliseconds. */
  readonly nextRunAtMs: number | null;
  readonly agentId: string | null;
  /** Null without an agent, and for one that is gone or unknown: those limit nothing. */
  readonly agentState: string | null;
  /** The user took it out of the background. */
  readonly optedOut: boolean;
}

/** @returns null for a mission that the user does not have (any more), or that the projection has not seen yet */
export async function findProjectedMission(
  tx: UserTransaction,
  missionId: MissionId,
): Promise<ProjectedMission | null> {
  const [mission] = await tx<ProjectedMission[]>`
    select missions.state, cadence, extract(epoch from next_run_at)::float8 * 1000 as "nextRunAtMs",
      missions.agent_id as "agentId", agents.state as "agentState",
      exists (select from mana_ai.schedule_opt_outs opt_outs
        where opt_outs.user_id = missions.user_id and opt_outs.mission_id = missions.mission_id) as "optedOut"
    from mana_ai.mission_snapshots missions
    left join mana_ai.agent_snapshots agents
      on agents.user_id = missions.user_id and agents.agent_id = missions.agent_id and agents.exists_now
    where missions.user_id = ${tx.userId} and missions.mission_id = ${missionId} and missions.exists_now`;
  return mission ?? null;
}

/** Takes the mission out of the background, or back in; its schedule becomes pending. Call it under its lock. */
export async function setOptedOut(
  tx: UserTransaction,
  missionId: MissionId,
  optedOut: boolean,
): Promise<void> {
  if (optedOut) {
    await tx`
      insert into mana_ai.schedule_opt_outs (user_id, mission_id) values (${tx.userId}, ${missionId})
      on conflict (user_id, mission_id) do nothing`;
  } else {
    await tx`delete from mana_ai.schedule_opt_outs where user_id = ${tx.userId} and mission_id = ${missionId}`;
  }
  await tx`
    update mana_ai.mission_snapshots set version = version + 1
    where user_id = ${tx.userId} and mission_id = ${missionId}`;
}

/** A run that held its mission when it was last heard of; whether it is still open, Temporal knows. */
export type HeldSlot = Pick<RunSlot, 'missionId' | 'workflowId' | 'runId'>;

/** The slot of a mission. */
export async function findMissionSlot(tx: UserTransaction, missionId: MissionId): Promise<HeldSlot | null> {
  const [slot] = await tx<HeldSlot[]>`
    select mission_id as "missionId", workflow_id as "workflowId", run_id as "runId" from mana_ai.run_slots
    where user_id = ${tx.userId} and mission_id = ${missionId}`;
  return slot ?? null;
}

/** The slot of a run. */
export async function findSlotOfRun(tx: UserTransaction, runId: string): Promise<HeldSlot | null> {
  const [slot] = await tx<HeldSlot[]>`
    select mission_id as "missionId", workflow_id as "workflowId", run_id as "runId" from mana_ai.run_slots
    where user_id = ${tx.userId} and run_id = ${runId}`;
  return slot ?? null;
}
