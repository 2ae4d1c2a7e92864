import { randomUUID } from 'node:crypto';
import { endsAs, type Execution, type Scenario } from './scenario.ts';
import type { RecordingSystem } from './system.ts';
import { gate, hang } from '#dev/scripted-gateway.ts';
import { missionAt } from '#dev/web-app.ts';
import { formatInstant } from '#domain/base/instant.ts';
import { cancelRunSignal } from '#temporal/messages.ts';
import { startRun, writeGrantedMission, type WrittenMission } from '#test/support/granted-mission.ts';
import { whileSealingWaits } from '#test/support/held-lock.ts';
import { replyOfTwoRounds, roundOf } from '#test/support/planner-scripts.ts';

const OBJECTIVE = 'Plan the next step of the holiday';

type Fields = Readonly<Record<string, unknown>>;

const iterationsOf = async (
  { webApp }: RecordingSystem,
  { user, missionId }: WrittenMission,
): Promise<readonly Fields[]> => {
  const read = await webApp.read(user, missionAt(missionId));
  return (read?.record['iterations'] ?? []) as readonly Fields[];
};

/** @throws Error unless the log shows the run as running: what the scenario is about is a claim's end */
async function expectClaim(system: RecordingSystem, mission: WrittenMission): Promise<readonly Fields[]> {
  const iterations = await iterationsOf(system, mission);
  if (!iterations.some(({ overallStatus }) => overallStatus === 'running'))
    throw new Error('the run has claimed no instant');
  return iterations;
}

async function expectEnd(system: RecordingSystem, mission: WrittenMission, status: string): Promise<void> {
  const last = (await iterationsOf(system, mission)).find(({ source }) => source === 'server');
  if (last?.['overallStatus'] !== status)
    throw new Error(`the claim ended as ${String(last?.['overallStatus'])}, expected ${status}`);
}

const minuteAgo = (): string => formatInstant(Date.now() - 60_000);

/** As an open tab writes it once it has planned. */
const ofBrowser = (): Fields => ({
  ...{ id: randomUUID(), plan: [], overallStatus: 'approved', source: 'browser' },
  startedAt: formatInstant(Date.now()),
});

/** A tab has run the mission for this instant before the run is loaded: nothing is claimed. */
async function ranElsewhere(system: RecordingSystem): Promise<Execution> {
  const due = { nextRunAt: minuteAgo(), iterations: [ofBrowser()] };
  const mission = await writeGrantedMission(system, OBJECTIVE, due);
  return endsAs(await startRun(system.client, mission, { trigger: 'projection' }), 'ran-elsewhere');
}

/** What the tab wrote arrives after the claim and before the first round. */
async function ranElsewhereAfterClaim(system: RecordingSystem): Promise<Execution> {
  const mission = await writeGrantedMission(system, OBJECTIVE, { nextRunAt: minuteAgo() });
  const starting = Promise.withResolvers<Awaited<ReturnType<typeof startRun>>>();
  await whileSealingWaits(system.databases, mission, async (untilAwaited) => {
    starting.resolve(await startRun(system.client, mission, { trigger: 'projection' }));
    await untilAwaited();
    const iterations = [...(await expectClaim(system, mission)), ofBrowser()];
    await system.webApp.update(mission.user, missionAt(mission.missionId), { iterations });
  });
  const execution = await endsAs(await starting.promise, 'ran-elsewhere');
  await expectEnd(system, mission, 'approved');
  return execution;
}

/** Cancelled while the gateway is asked: the claim says so. */
async function claimedAndCancelled(system: RecordingSystem): Promise<Execution> {
  system.answerWith(hang);
  const mission = await writeGrantedMission(system, OBJECTIVE, { nextRunAt: minuteAgo() });
  const run = await startRun(system.client, mission, { trigger: 'projection' });
  await system.gateway.waitForHanging(1);
  await expectClaim(system, mission);
  await run.signal(cancelRunSignal);
  const execution = await endsAs(run, 'cancelled');
  await expectEnd(system, mission, 'failed');
  return execution;
}

/** The mission is paused while its first round is asked: there is no second one. */
async function stoppedUnderWay(system: RecordingSystem): Promise<Execution> {
  const paused = gate();
  system.answerWith((request) =>
    roundOf(request) === 1 ? paused.hold(replyOfTwoRounds(request)) : replyOfTwoRounds(request),
  );
  const mission = await writeGrantedMission(system, OBJECTIVE, { nextRunAt: minuteAgo() });
  const asked = system.gateway.requests.length + 1;
  const run = await startRun(system.client, mission, { trigger: 'projection' });
  await system.gateway.waitForRequests(asked);
  await expectClaim(system, mission);
  await system.webApp.update(mission.user, missionAt(mission.missionId), { state: 'paused' });
  paused.open();
  const execution = await endsAs(run, 'paused');
  await expectEnd(system, mission, 'failed');
  return execution;
}

export const claimedRuns: readonly Scenario[] = [
  { name: 'missionRun-ran-elsewhere', record: ranElsewhere },
  { name: 'missionRun-ran-elsewhere-after-claim', record: ranElsewhereAfterClaim },
  { name: 'missionRun-claimed-and-cancelled', record: claimedAndCancelled },
  { name: 'missionRun-stopped-under-way', record: stoppedUnderWay },
];
