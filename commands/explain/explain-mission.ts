import type { ExplainConfig } from '#config/explain-command.ts';
import { openDatabase, type Database } from '#db/client.ts';
import { isErased } from '#db/erased-users.ts';
import { UserErasedError } from '#domain/base/errors.ts';
import { findProjectedMission } from '#db/mission-schedule.ts';
import { readMissionState } from '#db/schedule-state.ts';
import { timeZoneAndSource } from '#db/time-zones.ts';
import { toMissionId, toUserId, type MissionId, type UserId } from '#domain/base/ids.ts';
import { createMissionRuns } from '#runs/mission-runs.ts';
import { isRunOpen } from '#runs/open-runs.ts';
import { createMissionSchedules } from '#schedules/mission-schedules.ts';
import { RUNNER_TASK_QUEUE } from '#temporal/messages.ts';
import { namespacesOf, type Clients } from '#temporal/namespaces.ts';
import { fault, ok, unchecked, type DoctorCheck, type Judgement } from '../finding.ts';
import { judgeRuns } from './last-runs.ts';
import { grantReasons, recordReasons } from './record-reasons.ts';
import { scheduleReasons, type MissionFacts } from './schedule-reasons.ts';

const RUNS_TOLD = 5;

export interface ExplainedMission {
  readonly checks: readonly DoctorCheck[];
  readonly close: () => Promise<void>;
}

/** What is looked at of one mission; each with the database user whose business it is. */
export function explainMission(
  config: ExplainConfig,
  clients: Clients,
  ids: { readonly userId: string; readonly missionId: string },
): ExplainedMission {
  const [userId, missionId] = [toUserId(ids.userId), toMissionId(ids.missionId)];
  const open = (url: string): Database =>
    openDatabase({
      ...{ url, applicationName: 'mana-missions-explain', maxConnections: 2, preparedStatements: false },
    });
  const projection = open(config.projectionUrl);
  const [api, runner] = [config.apiUrl, config.runnerUrl].map((url) => (url === null ? null : open(url)));
  let known: Promise<MissionFacts> | null = null;
  const facts = (): Promise<MissionFacts> => (known ??= factsOf(projection, clients, userId, missionId));
  const checks: DoctorCheck[] = [
    { name: 'user', look: () => erased(projection, userId) },
    { name: 'schedule', look: async () => scheduleReasons(await facts()) },
    ...namespaceOf(clients, userId),
    {
      name: 'grant',
      look: async () =>
        api ? grantReasons(api, userId, missionId) : unchecked('SYNC_DATABASE_URL_API is not set here'),
    },
    {
      name: 'record',
      look: async () => {
        if (!runner) return unchecked('SYNC_DATABASE_URL_RUNNER is not set here: no budget, no grant tried');
        return recordReasons(runner, config, { userId, missionId, pending: (await facts()).pending });
      },
    },
    { name: 'last runs', look: () => lastRuns(clients, userId, missionId) },
  ];
  const close = async (): Promise<void> => {
    await Promise.all([projection.close(), api?.close(), runner?.close()]);
  };
  return { checks: checks.map(unlessErased), close };
}

/** Where to look in the Temporal UI; nothing where there is one namespace. */
function namespaceOf(clients: Clients, userId: UserId): DoctorCheck[] {
  const { all, ofUser } = namespacesOf(clients);
  const found = `its user belongs to ${ofUser(userId).options.namespace}`;
  return all.length === 1 ? [] : [{ name: 'namespace', look: () => Promise.resolve(ok(found)) }];
}

async function erased(projection: Database, userId: UserId): Promise<Judgement> {
  return (await isErased(projection.system, userId))
    ? fault('was erased: nothing of this user is run or comes back', 'nothing: that is for good')
    : ok('was not erased');
}

/** As an erased user nobody sees anything. */
const unlessErased = ({ name, look }: DoctorCheck): DoctorCheck => ({
  name,
  look: async () => {
    try {
      return await look();
    } catch (error) {
      if (error instanceof UserErasedError) return unchecked('nobody looks at an erased user');
      throw error;
    }
  },
});

async function factsOf(
  projection: Database,
  clients: Clients,
  userId: UserId,
  missionId: MissionId,
): Promise<MissionFacts> {
  const pending = await readMissionState(projection.system, { userId, missionId });
  const { projected, zone } = await projection.asUser(userId, async (tx) => ({
    projected: await findProjectedMission(tx, missionId),
    zone: await timeZoneAndSource(tx, missionId),
  }));
  const schedules = createMissionSchedules({ client: clients, taskQueue: RUNNER_TASK_QUEUE });
  const slot = pending?.slot ?? null;
  const isSlotOpen = slot !== null && (await isRunOpen(clients, slot.workflowId, slot.runId));
  return { pending, projected, zone, pause: await schedules.pauseOf(userId, missionId), isSlotOpen };
}

async function lastRuns(clients: Clients, userId: UserId, missionId: MissionId): Promise<Judgement[]> {
  const { runs } = await createMissionRuns({ client: clients, taskQueue: RUNNER_TASK_QUEUE }).list(
    userId,
    missionId,
    {
      limit: RUNS_TOLD,
      pageToken: new Uint8Array(),
    },
  );
  return judgeRuns(runs);
}
