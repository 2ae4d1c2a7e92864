import { WorkflowFailedError } from '@temporalio/client';
import { optionalTsToMs } from '@temporalio/common/lib/time.js';
import { endsAs, executionOf, type Execution, type Scenario } from './scenario.ts';
import type { RecordingSystem } from './system.ts';
import { eventIdOf, iterationIdOf } from '#crypto/derived-ids.ts';
import { withClient } from '#dev/platform-schema.ts';
import { runNowKey } from '#domain/run/run.ts';
import {
  startRun,
  writeGrantedMission,
  writePlaintextMission,
  type RunHandle,
} from '#test/support/granted-mission.ts';
import { whileSealingWaits } from '#test/support/held-lock.ts';
import { withoutRightToClaim } from '#test/support/missing-right.ts';
import { waitUntil } from '#test/support/wait-until.ts';

const OBJECTIVE = 'Plan the next step of the holiday';

/** As if the worker had died three times while it read the mission: the slot comes with that count. */
async function givenUpAtLoad(system: RecordingSystem): Promise<Execution> {
  const mission = await writePlaintextMission(system.webApp, OBJECTIVE);
  const countFrom = (begun: number): Promise<unknown> =>
    withClient(system.databases.superuser.syncUrl, (client) =>
      client.query(`alter table mana_ai.run_slots alter column begun set default ${begun}`),
    );
  await countFrom(3);
  try {
    return await endsAs(await startRun(system.client, mission), 'failed', 'worker-lost');
  } finally {
    await countFrom(0);
  }
}

/** Somebody else's row has the id under which the iteration would be written. */
async function stuckAtWrite(system: RecordingSystem): Promise<Execution> {
  const mission = await writePlaintextMission(system.webApp, OBJECTIVE);
  const key = runNowKey(mission.user.userId, mission.missionId, `run-now:${mission.missionId}`);
  await withClient(system.databases.superuser.syncUrl, (client) =>
    client.query(
      `insert into public.sync_changes (id, app_id, table_name, record_id, user_id, op, data, client_id)
       values ($1, 'notes', 'notes', 'made-up', 'somebody-else', 'insert', '{}', 'device')`,
      [eventIdOf(iterationIdOf(key))],
    ),
  );
  const run = await startRun(system.client, mission);
  const error: unknown = await run.result().catch((error: unknown) => error);
  if (!(error instanceof WorkflowFailedError)) throw new Error('the run did not end as stuck');
  return executionOf(run);
}

/** What fails here and now goes on as an activity, and ends well once the cause is gone. */
async function patientlyLoaded(system: RecordingSystem): Promise<Execution> {
  const mission = await writePlaintextMission(system.webApp, OBJECTIVE);
  const run = await withoutRightToClaim(system.databases, async () => {
    const started = await startRun(system.client, mission);
    await waitUntil(
      'an activity tries on',
      async () => ((await started.describe()).raw.pendingActivities?.length ?? 0) > 0,
    );
    return started;
  });
  return endsAs(run, 'planned');
}

/** The vault worker dies three times while it seals; the run goes to its end without one. */
async function sealGivenUp(system: RecordingSystem): Promise<Execution> {
  const mission = await writeGrantedMission(system, OBJECTIVE);
  const starting = Promise.withResolvers<RunHandle>();
  await whileSealingWaits(system.databases, mission, async () => {
    const run = await startRun(system.client, mission);
    starting.resolve(run);
    for (let attempt = 1; attempt <= 3; attempt += 1) {
      await waitUntil(`attempt ${attempt} is counted`, () => isCounted(run, attempt));
      await system.killVault();
    }
  });
  return endsAs(await starting.promise, 'failed', 'worker-lost');
}

/** The attempt is under way and has sent the count of those before it: only then its death is known as one. */
async function isCounted(run: RunHandle, wanted: number): Promise<boolean> {
  const { raw } = await run.describe();
  const [pending] = raw.pendingActivities ?? [];
  const started = optionalTsToMs(pending?.lastStartedTime);
  const beaten = optionalTsToMs(pending?.lastHeartbeatTime);
  return pending?.attempt === wanted && started !== undefined && beaten !== undefined && beaten >= started;
}

export const givenUpRuns: readonly Scenario[] = [
  { name: 'missionRun-given-up-at-load', record: givenUpAtLoad },
  { name: 'missionRun-seal-given-up', record: sealGivenUp },
  { name: 'missionRun-stuck-at-write', record: stuckAtWrite },
  { name: 'missionRun-patiently-loaded', record: patientlyLoaded },
];
