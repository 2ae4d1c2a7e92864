import { randomUUID } from 'node:crypto';
import type { Client, WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { waitUntil } from './wait-until.ts';
import { missionAt, noteAt, taskAt, type WebApp, type WebAppUser } from '#dev/web-app.ts';
import { formatInstant } from '#domain/base/instant.ts';
import type { MissionRunResult } from '#domain/run/run.ts';
import {
  MISSION_RUN_WORKFLOW_TYPE,
  RUNNER_TASK_QUEUE,
  type MissionRunInput,
  type RunTrigger,
} from '#temporal/messages.ts';

export interface WrittenMission {
  readonly user: WebAppUser;
  readonly missionId: string;
}

type Fields = Readonly<Record<string, unknown>>;

/** What is needed of a system to write missions into it. */
export interface MissionWriter {
  readonly webApp: WebApp;
  /** Asks the API for a grant as the web app does. */
  readonly requestGrant: (userId: string, body: Fields) => Promise<unknown>;
}

/** An hour ahead: no schedule fires while a test runs. */
const inAnHour = (): string => formatInstant(Date.now() + 3_600_000);

/**
 * A user with an encrypted note, a plaintext task and a mission on both, title and objective encrypted, with a grant.
 * Sealing it makes two audit rows: of the mission's own fields and of the note.
 *
 * @param objective reaches the gateway, so a script can tell missions apart
 */
export async function writeGrantedMission(
  system: MissionWriter,
  objective: string,
  fields: Fields = {},
  note = 'tent, stove',
): Promise<WrittenMission> {
  const { webApp } = system;
  const user = await webApp.createUser();
  const [missionId, noteId, taskId] = [randomUUID(), randomUUID(), randomUUID()];
  await webApp.insert(user, noteAt(noteId), {
    title: user.encrypt('Packing list'),
    content: user.encrypt(note),
  });
  await webApp.insert(user, taskAt(taskId), { title: 'Book the train', isCompleted: false });
  const grant = await system.requestGrant(user.userId, {
    missionId,
    tables: ['notes', 'tasks'],
    recordIds: [`notes:${noteId}`, `tasks:${taskId}`],
    timeZone: 'Europe/Berlin',
  });
  await webApp.insert(user, missionAt(missionId), {
    ...commonFields(),
    title: user.encrypt('Plan the holiday'),
    objective: user.encrypt(objective),
    inputs: [
      { module: 'notes', table: 'notes', id: noteId },
      { module: 'tasks', table: 'tasks', id: taskId },
    ],
    grant,
    ...fields,
  });
  return { user, missionId };
}

/** A mission without ciphertext and without a grant. */
export async function writePlaintextMission(
  webApp: WebApp,
  objective: string,
  fields: Fields = {},
): Promise<WrittenMission> {
  const user = await webApp.createUser();
  return { user, missionId: await writePlaintextMissionOf(webApp, user, objective, fields) };
}

/** Likewise, of a user that exists. */
export async function writePlaintextMissionOf(
  webApp: WebApp,
  user: WebAppUser,
  objective: string,
  fields: Fields = {},
): Promise<string> {
  const missionId = randomUUID();
  await webApp.insert(user, missionAt(missionId), {
    ...commonFields(),
    title: 'Plan the holiday',
    objective,
    inputs: [],
    ...fields,
  });
  return missionId;
}

const commonFields = (): Fields => ({
  conceptMarkdown: '',
  state: 'active',
  cadence: { kind: 'interval', everyMinutes: 30 },
  nextRunAt: inAnHour(),
  iterations: [],
});

export type RunHandle = WorkflowHandleWithFirstExecutionRunId<
  (input: MissionRunInput) => Promise<MissionRunResult>
>;

/** Starts a run directly, by default as the user's "run now"; the workflow id names the due instant of such a run. */
export const startRun = (
  client: Client,
  { user, missionId }: WrittenMission,
  options: { readonly workflowId?: string; readonly trigger?: RunTrigger } = {},
): Promise<RunHandle> =>
  client.workflow.start<(input: MissionRunInput) => Promise<MissionRunResult>>(MISSION_RUN_WORKFLOW_TYPE, {
    workflowId: options.workflowId ?? `run-now:${missionId}`,
    taskQueue: RUNNER_TASK_QUEUE,
    args: [{ userId: user.userId, missionId, trigger: options.trigger ?? 'run-now' }],
  });

/** Resolves once the server knows that the run wants its activity cancelled. */
export const untilCancelRequested = (run: RunHandle): Promise<unknown> =>
  waitUntil('an activity is to be cancelled', async () => {
    const { events } = await run.fetchHistory();
    return events?.some((event) => (event.activityTaskCancelRequestedEventAttributes ?? null) !== null);
  });
