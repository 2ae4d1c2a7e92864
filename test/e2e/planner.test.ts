import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  hang,
  httpReply,
  replyWithText,
  replyWithToolCalls,
  type RecordedRequest,
  type ScriptedResponse,
} from '#dev/scripted-gateway.ts';
import { agentAt, missionAt, noteAt, type WebAppUser } from '#dev/web-app.ts';
import { formatInstant } from '#domain/base/instant.ts';
import { openDevice, type Device } from '#test/support/device.ts';
import {
  startRun,
  writePlaintextMission,
  writePlaintextMissionOf,
  type WrittenMission,
} from '#test/support/granted-mission.ts';
import { query } from '#test/support/inspect.ts';
import { startMissionSystem, type MissionSystem } from '#test/support/mission-system.ts';
import { roundOf } from '#test/support/planner-scripts.ts';
import { readAudit } from '#test/support/stored-rows.ts';
import { waitUntil } from '#test/support/wait-until.ts';

let system: MissionSystem;
let device: Device;
type Planner = (request: RecordedRequest, round: number) => ScriptedResponse;
/** How the model plans missions whose objective holds the text. */
const planners = new Map<string, Planner>();
beforeAll(async () => {
  const script = (request: RecordedRequest): ScriptedResponse => {
    const planner = [...planners].find(([objective]) => request.bodyText.includes(objective))?.[1];
    if (planner === undefined) throw new Error('no planner for this mission');
    return planner(request, roundOf(request));
  };
  system = await startMissionSystem({ script });
  device = openDevice(system.webApp, system.databases);
});
afterAll(() => system.close());

type Fields = Readonly<Record<string, unknown>>;
const past = (): string => formatInstant(Date.now() - 1_000);
const task = (title: string): ScriptedResponse =>
  replyWithToolCalls([{ name: 'create_task', arguments: { title } }]);
/** A reply as it comes over the wire, with what `replyWith…` does not make. */
const completion = (message: Fields, finishReason: string | null): ScriptedResponse =>
  httpReply(200, {
    choices: [{ index: 0, message: { role: 'assistant', ...message }, finish_reason: finishReason }],
    usage: { prompt_tokens: 100, completion_tokens: 20, total_tokens: 120 },
  });
const answersIn = ({ body }: RecordedRequest): string[] =>
  body.messages.flatMap(({ role, content }) => (role === 'tool' ? [String(content)] : []));
const requestsOf = (objective: string): RecordedRequest[] =>
  system.gateway.requests.filter(({ bodyText }) => bodyText.includes(objective));
const titlesIn = (iteration: Fields | undefined): unknown[] =>
  (iteration?.['plan'] as { intent: { params: Fields } }[]).map(({ intent }) => intent.params['title']);

/** A plaintext mission that is due, planned so; its only iteration. */
async function planned(planner: Planner): Promise<{ objective: string; iteration: Fields | undefined }> {
  const objective = `objective-${randomUUID()}`;
  planners.set(objective, planner);
  const told = await writePlaintextMission(system.webApp, objective, { nextRunAt: past() });
  const [iteration] = await device.waitForIterations(told);
  return { objective, iteration };
}

async function writeAgent(user: WebAppUser, fields: Fields): Promise<string> {
  const agentId = randomUUID();
  await system.webApp.insert(user, agentAt(agentId), {
    ...{ name: 'Mia', state: 'active', maxConcurrentMissions: 5 },
    policy: { tools: {}, defaultsByModule: {}, defaultForAi: 'propose' },
    ...fields,
  });
  return agentId;
}

describe.concurrent('tools', () => {
  it('that read are answered with what the encrypted record holds, and the plan is made of it', async () => {
    const [objective, missionId, noteId] = [`objective-${randomUUID()}`, randomUUID(), randomUUID()];
    const title = `Zelt-${randomUUID()}`;
    planners.set(objective, (request, round) => {
      if (round === 1) return replyWithToolCalls([{ name: 'list_notes', arguments: { limit: 5 } }]);
      const [listed = ''] = answersIn(request);
      const { entries } = JSON.parse(listed.split('\n')[1] ?? '') as { entries: { title: string }[] };
      return round === 2 ? task(entries[0]?.title ?? 'nichts') : replyWithText('Fertig.');
    });
    const user = await system.webApp.createUser();
    await system.webApp.insert(user, noteAt(noteId), {
      title: user.encrypt(title),
      content: user.encrypt('x'),
    });
    const grant = await system.requestGrant(user.userId, {
      ...{ missionId, tables: ['notes'], recordIds: [`notes:${noteId}`] },
    });
    // The note is no input: the grant alone makes it readable.
    await system.webApp.insert(user, missionAt(missionId), {
      ...{ title: 'x', objective, conceptMarkdown: '', state: 'active', inputs: [], iterations: [] },
      ...{ cadence: { kind: 'interval', everyMinutes: 30 }, nextRunAt: past(), grant },
    });
    const [iteration] = await device.waitForIterations({ user, missionId });
    expect(titlesIn(iteration)).toEqual([title]);
    expect(await readAudit(system.databases, missionId)).toContain('notes ok');
  });

  it('that only propose what is still open from an earlier run plan nothing; the user is told, and nothing has failed', async () => {
    const objective = `objective-${randomUUID()}`;
    const title = 'Mülltonne rausstellen';
    planners.set(objective, () => task(title));
    const step = {
      ...{ id: 's', summary: title, status: 'staged' },
      intent: { kind: 'toolCall', toolName: 'create_task', params: { title } },
    };
    const told = await writePlaintextMission(system.webApp, objective, {
      title: 'Denk an die Mülltonne, jede Woche',
      iterations: [{ id: 'earlier', startedAt: past(), overallStatus: 'awaiting-review', plan: [step] }],
    });
    await (await startRun(system.client, told)).result();
    const iteration = (await device.iterations(told)).at(-1);
    expect(iteration).toMatchObject({ plan: [], overallStatus: 'approved' });
    expect(iteration?.['summary']).toContain('was aus einem früheren Lauf noch offen ist');
    expect(requestsOf(objective)).toHaveLength(2);
  });

  it('called with wrong arguments are corrected by the model; unknown ones and repeated calls are no steps', async () => {
    const { objective, iteration } = await planned((_request, round) => {
      if (round === 1)
        return replyWithToolCalls([
          { name: 'create_task', arguments: { title: 7 } },
          { name: 'rm_rf', arguments: {} },
          { name: 'list_tasks', arguments: {} },
          { name: 'create_note', arguments: { content: 'eins' }, id: '' },
        ]);
      return round === 2
        ? replyWithToolCalls([
            { name: 'create_task', arguments: { title: 'eins' }, id: 'same' },
            { name: 'create_task', arguments: { title: 'eins', priority: null }, id: 'same' },
          ])
        : replyWithText('Fertig.');
    });
    expect(iteration).toMatchObject({
      overallStatus: 'awaiting-review',
      plan: [
        { intent: { toolName: 'create_note' } },
        { intent: { toolName: 'create_task', params: { title: 'eins' } } },
      ],
    });
    const last = requestsOf(objective)[2];
    expect(last === undefined ? [] : answersIn(last)).toEqual([
      expect.stringMatching(/^error: wrong arguments: title/),
      expect.stringMatching(/^error: no such tool; allowed: /),
      'error: no such tool',
      ...['recorded', 'recorded', 'recorded'],
    ]);
  });
});

describe.concurrent('rounds', () => {
  it('are at most five; what was planned by then is the plan', async () => {
    const { objective, iteration } = await planned((_request, round) => task(`Aufgabe ${round}`));
    expect(titlesIn(iteration)).toHaveLength(5);
    expect(requestsOf(objective)).toHaveLength(5);
  });

  it('go on where a reply was cut off, with words or in a call', async () => {
    const { objective, iteration } = await planned((_request, round) => {
      const cutCall = { id: 'c', type: 'function', function: { name: 'create_task', arguments: '{"tit' } };
      if (round === 1) return completion({ content: 'Ich würde zuerst' }, 'length');
      if (round === 2) return completion({ content: null, tool_calls: [cutCall] }, 'length');
      return round === 3 ? task('ganz') : replyWithText('Fertig.');
    });
    expect(titlesIn(iteration)).toEqual(['ganz']);
    expect(iteration).toMatchObject({ summary: expect.stringContaining('Fertig.') as unknown });
    expect(requestsOf(objective)).toHaveLength(4);
  });

  it('that a content filter ends fail by that name, unless something was planned', async () => {
    const filtered = completion({ content: '' }, 'content_filter');
    const [nothing, some] = await Promise.all([
      planned(() => filtered),
      planned((_request, round) => (round === 1 ? task('x') : filtered)),
    ]);
    expect(nothing.iteration).toMatchObject({
      ...{ overallStatus: 'failed', plan: [] },
      errorDetails: { name: 'content-filtered' },
    });
    expect(some.iteration).toMatchObject({ overallStatus: 'awaiting-review', plan: [{}] });
  });
});

describe.concurrent('the budget of an agent', () => {
  const withAgent = async (
    planner: Planner,
    agent: Fields,
  ): Promise<WrittenMission & { objective: string }> => {
    const objective = `objective-${randomUUID()}`;
    planners.set(objective, planner);
    const user = await system.webApp.createUser();
    const agentId = await writeAgent(user, agent);
    const missionId = await writePlaintextMissionOf(system.webApp, user, objective, { agentId });
    return { user, missionId, objective };
  };

  it('of 0 stops it: nothing is opened, nobody is asked, and the user is told', async () => {
    const told = await withAgent(() => task('x'), { maxTokensPerDay: 0 });
    const { outcome, failureCode } = await (await startRun(system.client, told)).result();
    expect([outcome, failureCode]).toEqual(['failed', 'budget-exhausted']);
    expect(await device.iterations(told)).toMatchObject([{ errorDetails: { name: 'budget-exhausted' } }]);
    expect(requestsOf(told.objective)).toEqual([]);
  });

  it('that ends in the middle of a plan ends it with what it holds', async () => {
    const told = await withAgent((_request, round) => task(`Aufgabe ${round}`), { maxTokensPerDay: 200 });
    const { outcome, rounds, steps, totalTokens } = await (await startRun(system.client, told)).result();
    expect([outcome, rounds, steps, totalTokens]).toEqual(['planned', 3, 2, 240]);
  });

  it('is not held for ever by a run that was terminated while the model worked', async () => {
    const gone = await withAgent(() => hang(), { maxTokensPerDay: 15_000 });
    const run = await startRun(system.client, gone);
    await waitUntil('the model is asked', () => Promise.resolve(requestsOf(gone.objective).length > 0));
    await run.terminate();
    const objective = `objective-${randomUUID()}`;
    planners.set(objective, () => replyWithText('Nichts zu tun.'));
    const { agentId } = (await device.mission(gone)) as { agentId: string };
    const missionId = await writePlaintextMissionOf(system.webApp, gone.user, objective, { agentId });
    const heir = { user: gone.user, missionId };
    const { outcome } = await (await startRun(system.client, heir)).result();
    expect(outcome).toBe('empty-plan');
    const usage = await query(
      system.databases.superuser.syncUrl,
      `select mission_id as id, purpose, resolved_model as model from mana_ai.token_usage where agent_id = $1 order by purpose`,
      [agentId],
    );
    expect(usage).toEqual([
      { id: missionId, purpose: 'plan', model: 'scripted/planner' },
      { id: gone.missionId, purpose: 'unknown', model: null },
    ]);
  });
});
