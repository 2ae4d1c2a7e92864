import { randomUUID } from 'node:crypto';
import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { agentAt } from '#dev/web-app.ts';
import { replyWithToolCalls } from '#dev/scripted-gateway.ts';
import { countStatements } from '#test/support/counted-statements.ts';
import {
  startRun,
  writeGrantedMission,
  writePlaintextMission,
  writePlaintextMissionOf,
  type RunHandle,
  type WrittenMission,
} from '#test/support/granted-mission.ts';
import { countRows } from '#test/support/inspect.ts';
import { startMissionSystem, type MissionSystem } from '#test/support/mission-system.ts';
import { replyOfTwoRounds } from '#test/support/planner-scripts.ts';

/** What a mission may cost at most, beside its model's time; none of it depends on the machine. docs/performance.md explains. */
const BUDGET = {
  encryptedTwoRounds: {
    events: 20,
    statements: 97,
    transactions: 12,
    roundTrips: 60,
    bytesToGateway: 12_500,
  },
  plainOneRound: { events: 14, statements: 48, transactions: 7, roundTrips: 34, bytesToGateway: 4_800 },
};

/** Of how many bytes the text of an input is, and how often those are read: as ciphertext, sealed, and what of them is in the prompt. */
const INPUT_BYTES = 600_000;
const READINGS = 3;

const IN_ONE_ROUND = 'in one round';

let system: MissionSystem;
beforeAll(async () => {
  const call = { name: 'create_task', arguments: { title: 'Pack the tent', priority: 'high' } };
  system = await startMissionSystem({
    parts: ['runner', 'vault'],
    script: (request) =>
      request.bodyText.includes(IN_ONE_ROUND)
        ? replyWithToolCalls([call], 'One task is planned.')
        : replyOfTwoRounds(request),
  });
  // What a process asks each database once is asked by then.
  await costOf(await writeGrantedMission(system, 'OBJECTIVE-BEFORE'));
});
afterAll(() => system.close());

/** Runs it and counts. */
async function costOf(mission: WrittenMission) {
  const asked = system.gateway.requests.length;
  let run: RunHandle | undefined;
  const counts = await countStatements(['mana-missions-runner', 'mana-missions-vault'], async () => {
    run = await startRun(system.client, mission);
    expect(await run.result()).toMatchObject({ outcome: 'planned', steps: 1 });
  });
  const events = (await run?.fetchHistory())?.events ?? [];
  const bytesToGateway = system.gateway.requests
    .slice(asked)
    .reduce((sum, { bodyText }) => sum + Buffer.byteLength(bodyText), 0);
  return { run, events, cost: { events: events.length, ...counts, bytesToGateway } };
}

function expectWithin(
  cost: Readonly<Record<string, number>>,
  budget: Readonly<Record<string, number>>,
): void {
  for (const [what, most] of Object.entries(budget)) {
    expect(cost[what], `${what} of ${JSON.stringify(cost)}`).toBeLessThanOrEqual(most);
    // Less by a third would mean that something did not happen, or that the budget is too large to tell.
    expect(cost[what], `${what} of ${JSON.stringify(cost)}`).toBeGreaterThan(most * 0.66);
  }
}

it('an encrypted mission of two rounds stays within its budget, and shows its rounds to whoever may decode', async () => {
  const { run, events, cost } = await costOf(await writeGrantedMission(system, 'OBJECTIVE-COUNTED'));
  expectWithin(cost, BUDGET.encryptedTwoRounds);
  const summaries = events
    .map(({ userMetadata }) => userMetadata?.summary)
    .filter((summary) => summary !== null && summary !== undefined);
  expect(await textsOf(summaries)).toEqual(['from round 1']);
  expect(JSON.stringify(summaries)).not.toContain(Buffer.from('round').toString('base64').slice(0, 6));
  expect(await run?.query('__temporal_workflow_metadata')).toMatchObject({
    currentDetails: expect.stringMatching(/^planned, rounds: 2, steps: 1, tokens: \d+$/) as string,
  });
});

it('a mission in plaintext that is planned in one round stays within its budget', async () => {
  const { cost } = await costOf(await writePlaintextMission(system.webApp, IN_ONE_ROUND));
  expectWithin(cost, BUDGET.plainOneRound);
});

it('an encrypted mission of two rounds reads its inputs once to seal them and once to open them', async () => {
  const bytesRead = async (objective: string, length: number): Promise<number> => {
    const mission = await writeGrantedMission(system, objective, {}, 'x'.repeat(length));
    return (await costOf(mission)).cost.bytesRead;
  };
  const little = await bytesRead('OBJECTIVE-LITTLE-TO-READ', 1_000);
  const much = await bytesRead('OBJECTIVE-MUCH-TO-READ', 1_000 + INPUT_BYTES);
  expectWithin({ readings: (much - little) / INPUT_BYTES }, { readings: READINGS });
});

it('a mission of one round reads its agent to load it, for its place, for the round, and twice for the outcome', async () => {
  const bytesRead = async (length: number): Promise<number> => {
    const user = await system.webApp.createUser();
    const agentId = randomUUID();
    const agent = { name: 'A', state: 'active', memory: 'x'.repeat(length) };
    await system.webApp.insert(user, agentAt(agentId), agent);
    const missionId = await writePlaintextMissionOf(system.webApp, user, IN_ONE_ROUND, { agentId });
    return (await costOf({ user, missionId })).cost.bytesRead;
  };
  const readings = ((await bytesRead(1_000 + INPUT_BYTES)) - (await bytesRead(1_000))) / INPUT_BYTES;
  expectWithin({ readings }, { readings: 5.1 });
});

it('leaves rows and a history of the size that docs/scaling.md reckons with', async () => {
  const mission = await writeGrantedMission(system, 'OBJECTIVE-LEFT-BEHIND');
  const count = async () => {
    const counts = await Promise.all(
      LEFT_BEHIND.map(async ([table]): Promise<[string, number]> => [
        table,
        await countRows(system.databases.superuser.syncUrl, table, 'user_id = $1', [mission.user.userId]),
      ]),
    );
    return new Map(counts);
  };
  const before = await count();
  const { run } = await costOf(mission);
  const after = await count();
  expect(LEFT_BEHIND.map(([table]) => [table, (after.get(table) ?? 0) - (before.get(table) ?? 0)])).toEqual(
    LEFT_BEHIND,
  );
  const { historySize = 0 } = (await run?.describe()) ?? {};
  expectWithin({ historySize }, { historySize: 6_000 });
});

/** Of one run of an encrypted mission; of what it holds while it is open nothing is left. */
const LEFT_BEHIND: readonly (readonly [table: string, rows: number])[] = [
  ['public.sync_changes', 2],
  ['mana_ai.decrypt_audit', 2],
  ['mana_ai.token_usage', 2],
  ['mana_ai.sealed_inputs', 0],
  ['mana_ai.model_calls', 0],
  ['mana_ai.run_slots', 0],
];

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
