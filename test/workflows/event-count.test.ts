import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { replyWithText, replyWithToolCalls } from '#dev/scripted-gateway.ts';
import { formatInstant } from '#domain/base/instant.ts';
import { MISSION_RUN_WORKFLOW_TYPE } from '#temporal/messages.ts';
import { startRun, writeGrantedMission } from '#test/support/granted-mission.ts';
import { startMissionSystem, type MissionSystem } from '#test/support/mission-system.ts';
import { waitUntil } from '#test/support/wait-until.ts';

/** The server is the wall: events decide how many missions it takes a second (docs/architecture.md section 6). */
const MOST_EVENTS = 22;

let system: MissionSystem;
beforeAll(async () => {
  system = await startMissionSystem({
    script: [
      replyWithToolCalls([{ name: 'create_task', arguments: { title: 'Pack the tent', priority: 'high' } }]),
      replyWithText('One task is planned.'),
    ],
  });
});
afterAll(() => system.close());

it('an encrypted mission of two rounds costs at most 22 history events, and shows its rounds to whoever may decode', async () => {
  const mission = await writeGrantedMission(system, 'OBJECTIVE-COUNTED', {
    nextRunAt: formatInstant(Date.now() + 2_000),
  });
  // On a busy machine the projection may have started it, too: that run ends as `already-running`.
  const query = `WorkflowType = '${MISSION_RUN_WORKFLOW_TYPE}' and ManaMissionId = '${mission.missionId}'
    and ManaOutcome = 'planned'`;
  const { workflowId } = await waitUntil(
    'a run has planned',
    async () => {
      for await (const execution of system.client.workflow.list({ query })) return execution;
      return null;
    },
    { deadlineMs: 60_000 },
  );
  const run = system.client.workflow.getHandle(workflowId);
  expect(await run.result()).toMatchObject({ outcome: 'planned', rounds: 2, steps: 1 });
  const events = (await run.fetchHistory()).events ?? [];
  // Sealing and two rounds are activities of three events each; less would mean that something did not happen.
  expect(events.length).toBeGreaterThan(9);
  expect(events.length, `the run took ${events.length} history events`).toBeLessThanOrEqual(MOST_EVENTS);
  const summaries = events
    .map(({ userMetadata }) => userMetadata?.summary)
    .filter((summary) => summary !== null && summary !== undefined);
  expect(await textsOf(summaries)).toEqual(['from round 1']);
  expect(JSON.stringify(summaries)).not.toContain(Buffer.from('round').toString('base64').slice(0, 6));
  expect(await run.query('__temporal_workflow_metadata')).toMatchObject({
    currentDetails: expect.stringMatching(/^planned, rounds: 2, steps: 1, tokens: \d+$/) as string,
  });
});

it('a run that failed for its user says so, with the code that the user reads', async () => {
  const { user, missionId } = await writeGrantedMission(system, 'OBJECTIVE-WITHOUT-A-GRANT', { grant: null });
  const run = await startRun(system.client, { user, missionId });
  expect(await run.result()).toMatchObject({ outcome: 'failed', failureCode: 'grant-absent' });
  expect(await run.query('__temporal_workflow_metadata')).toMatchObject({
    currentDetails: 'failed (grant-absent), rounds: 0, steps: 0, tokens: 0',
  });
  expect(JSON.stringify((await run.describe()).typedSearchAttributes)).toContain('"failed"');
});

/** What an operator's UI makes of encrypted texts, with the codec endpoint. */
async function textsOf(payloads: readonly Payload[]): Promise<unknown[]> {
  let decoded = [...payloads];
  for (const codec of system.client.options.loadedDataConverter.payloadCodecs)
    decoded = await codec.decode(decoded);
  return decoded.map((payload) => defaultPayloadConverter.fromPayload(payload));
}
