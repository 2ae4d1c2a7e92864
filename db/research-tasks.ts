import type { UserTransaction } from './client.ts';
import type { ResearchKind } from '#domain/run/run.ts';

/** The research of one iteration; there is at most one. */
export interface ResearchTask {
  readonly kind: ResearchKind;
  /** `submitting` without an end = nobody knows whether the service got the request. */
  readonly state: 'submitting' | 'submitted' | 'done' | 'failed';
  /** The service's id of a deep task. */
  readonly taskId: string | null;
}

/** Names the task, and the mission with which it is forgotten. */
export interface ResearchTaskRef {
  readonly iterationId: string;
  readonly missionId: string;
  readonly kind: ResearchKind;
}

export async function readResearchTask(
  tx: UserTransaction,
  iterationId: string,
): Promise<ResearchTask | null> {
  const [row] = await tx<ResearchTask[]>`
    select kind, state, task_id as "taskId" from mana_ai.research_tasks
    where user_id = ${tx.userId} and iteration_id = ${iterationId}`;
  return row ?? null;
}

/**
 * Says, before the request goes out, that it is about to.
 *
 * @returns false when somebody has said so already
 */
export async function insertResearchTask(tx: UserTransaction, task: ResearchTaskRef): Promise<boolean> {
  const rows = await tx`
    insert into mana_ai.research_tasks (user_id, iteration_id, mission_id, kind, state)
    values (${tx.userId}, ${task.iterationId}, ${task.missionId}, ${task.kind}, 'submitting')
    on conflict (user_id, iteration_id) do nothing
    returning iteration_id`;
  return rows.length > 0;
}

/** May be repeated. @returns false when the task was given up meanwhile */
export async function recordSubmission(
  tx: UserTransaction,
  iterationId: string,
  taskId: string,
): Promise<boolean> {
  const rows = await tx`
    update mana_ai.research_tasks set state = 'submitted', task_id = ${taskId}
    where user_id = ${tx.userId} and iteration_id = ${iterationId}
      and (state = 'submitting' or (state = 'submitted' and task_id = ${taskId}))
    returning iteration_id`;
  return rows.length > 0;
}

/** Only where the request certainly came to nothing: then it may be sent again. */
export async function takeBackResearchTask(tx: UserTransaction, iterationId: string): Promise<void> {
  await tx`
    delete from mana_ai.research_tasks
    where user_id = ${tx.userId} and iteration_id = ${iterationId} and state = 'submitting'`;
}

/** The result is stored, in the same transaction. */
export async function finishResearchTask(tx: UserTransaction, iterationId: string): Promise<void> {
  await tx`
    update mana_ai.research_tasks set state = 'done'
    where user_id = ${tx.userId} and iteration_id = ${iterationId}`;
  await dropTakenOver(tx, iterationId);
}

/** There is no result and will be none; what is done stays done. */
export async function failResearchTask(tx: UserTransaction, task: ResearchTaskRef): Promise<void> {
  await tx`
    insert into mana_ai.research_tasks as known (user_id, iteration_id, mission_id, kind, state)
    values (${tx.userId}, ${task.iterationId}, ${task.missionId}, ${task.kind}, 'failed')
    on conflict (user_id, iteration_id) do update set state = 'failed' where known.state <> 'done'`;
}

/**
 * The deep task that the service before this one submitted for a mission and did not see end (docs/upgrade-from-before.md). It stands there
 * until it has come to its end, so that a run that is interrupted leaves it to the next one.
 *
 * @returns null when there is none; the id as it stood there, which need not be one
 */
export async function readTaskOfServiceBefore(
  tx: UserTransaction,
  missionId: string,
): Promise<{ readonly taskId: string | null } | null> {
  const [row] = await tx<{ taskId: string | null }[]>`
    select task_id as "taskId" from mana_ai.research_before
    where user_id = ${tx.userId} and mission_id = ${missionId}`;
  return row ?? null;
}

export async function dropTaskOfServiceBefore(tx: UserTransaction, missionId: string): Promise<void> {
  await tx`
    delete from mana_ai.research_before where user_id = ${tx.userId} and mission_id = ${missionId}`;
}

/** The task has come to its end. */
export async function dropTakenOver(tx: UserTransaction, iterationId: string): Promise<void> {
  await tx`
    delete from mana_ai.research_before as taken_over using mana_ai.research_tasks as task
    where task.user_id = ${tx.userId} and task.iteration_id = ${iterationId}
      and taken_over.user_id = task.user_id and taken_over.mission_id = task.mission_id
      and taken_over.task_id = task.task_id`;
}
