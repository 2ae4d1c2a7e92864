import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ApplicationFailure, log } from '@temporalio/activity';
import { Client, type WorkflowHandle } from '@temporalio/client';
import proto from '@temporalio/proto';
import { NativeConnection, Worker } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { createTemporaryDirectory } from '#dev/guardian.ts';
import { filePlaces, findLeaks, tablesPlace, type Leak, type Place } from '#dev/leak-search.ts';
import {
  hang,
  httpError,
  httpReply,
  replyWithText,
  replyWithToolCalls,
  type RecordedRequest,
  type ScriptedResponse,
} from '#dev/scripted-gateway.ts';
import { startTemporalServer, type TemporalServer } from '#dev/temporal-server.ts';
import { withClient } from '#dev/platform-schema.ts';
import { SEARCH_ATTRIBUTE_NAMES } from '#domain/run/search-attributes.ts';
import type { MissionRunResult } from '#domain/run/run.ts';
import { TRACE_HEADER } from '#domain/run/trace.ts';
import { createDataConverter } from '#temporal/data-converter.ts';
import { cancelRunSignal, type MissionRunInput } from '#temporal/messages.ts';
import { startSpanCollector, type CollectedSpan, type SpanCollector } from '#test/support/span-collector.ts';
import { workflowBundlePath } from '#test/support/workflow-bundle.ts';
import { startTracing } from '#tracing/start.ts';
import {
  addSecrets,
  createNeedles,
  mark,
  searchedPlaces,
  writeCanaryMission,
  writePlaintextCanary,
  type CanaryMission,
} from '#test/support/canary.ts';
import { startRun, type RunHandle } from '#test/support/granted-mission.ts';
import type { LeakingActivities } from '#test/support/leaking.workflows.ts';
import { startMissionSystem, type MissionSystem } from '#test/support/mission-system.ts';
import { roundOf } from '#test/support/planner-scripts.ts';
import { waitUntil } from '#test/support/wait-until.ts';

type MissionRunWorkflow = (input: MissionRunInput) => Promise<MissionRunResult>;
type Answer = (request: RecordedRequest, count: number) => ScriptedResponse;

/** What the gateway repeats: in the plan it may stand, nowhere else. */
const repeated = { argument: mark('repeated-argument'), summary: mark('repeated-summary') };
const planned: Answer = (request) =>
  roundOf(request) === 1
    ? replyWithToolCalls([
        { name: 'create_task', arguments: { title: repeated.argument, priority: 'high' } },
        // Refused by us: the answer to the model quotes nothing either.
        { name: 'create_task', arguments: { priority: repeated.argument } },
      ])
    : replyWithText(repeated.summary);
/** Each puts the whole prompt into its error, as the real gateway does (docs/architecture.md section 6). */
const echoes = {
  blocked: ({ bodyText }) => httpError(422, { kind: 'blocked', message: bodyText }),
  oddKind: ({ bodyText }) => httpError(400, { kind: bodyText.slice(0, 300), message: bodyText }),
  unavailable: ({ bodyText }) => httpError(503, { kind: 'no_healthy_provider', message: bodyText }),
  clientError: ({ bodyText }) => httpError(500, `Client error '429' for ${bodyText}`),
  noChoices: ({ bodyText }) => httpReply(200, { choices: [], prompt: bodyText }),
  noJson: ({ bodyText }) => ({ kind: 'http', status: 200, headers: {}, body: `<html>${bodyText}` }),
} satisfies Record<string, Answer>;

const needles = createNeedles();
/** By objective, which stands in every prompt of its mission. */
const answers = new Map<string, Answer>();
const counts = new Map<string, number>();

let directory: ReturnType<typeof createTemporaryDirectory>;
let temporal: TemporalServer;
let system: MissionSystem;
let logs: () => Place[];
let databaseFile: string;
let collector: SpanCollector;
let stopTracing: () => Promise<void>;
/** The run that the API started. */
let asked: WorkflowHandle<MissionRunWorkflow>;

beforeAll(async () => {
  directory = createTemporaryDirectory('mana-canary-');
  databaseFile = join(directory.path, 'temporal.db');
  const logFile = join(directory.path, 'temporal.log');
  temporal = await startTemporalServer({
    ui: false,
    dbFile: databaseFile,
    logFile,
    searchAttributes: Object.values(SEARCH_ATTRIBUTE_NAMES),
  });
  logs = () => [
    ...filePlaces("Temporal's log", [logFile]),
    ...filePlaces("PostgreSQL's log", [join(inject('serverLogDirectory'), 'postgres.log')]),
  ];
  // Before the workers and the API are made.
  collector = await startSpanCollector();
  stopTracing = await startTracing(
    collector.url,
    { name: 'canary', version: '0' },
    { warn: () => undefined },
  );
  system = await startMissionSystem({ temporalAddress: temporal.address, script: answer });
  addSecrets(needles, system);
});
afterAll(async () => {
  await system.close();
  await temporal.stop();
  await stopTracing();
  await collector.close();
  directory.remove();
});

function answer(request: RecordedRequest): ScriptedResponse {
  const objective = [...answers.keys()].find((text) => request.bodyText.includes(text)) ?? '';
  const count = (counts.get(objective) ?? 0) + 1;
  counts.set(objective, count);
  return (answers.get(objective) ?? planned)(request, count);
}

interface Started {
  readonly mission: CanaryMission;
  readonly run: RunHandle;
}

/** Starts a run of a mission of its own, with these answers of the gateway. */
async function start(label: string, answerOf: Answer, write = writeCanaryMission): Promise<Started> {
  const mission = await write(system, needles, label);
  answers.set(mission.objective, answerOf);
  return { mission, run: await startRun(system.client, mission) };
}

/** Asked for over HTTP. */
async function startByApi(label: string): Promise<WorkflowHandle<MissionRunWorkflow>> {
  const mission = await writeCanaryMission(system, needles, label);
  answers.set(mission.objective, planned);
  const url = `/api/v1/me/missions/${mission.missionId}/run?${needles.add('run-query')}`;
  const headers = { authorization: `Bearer ${mission.token}`, traceparent: needles.add('traceparent') };
  await waitUntil('the API starts a run', async () => {
    const { statusCode } = await system.api.inject({ method: 'POST', url, headers });
    return statusCode === 202;
  });
  const query = `ManaMissionId = '${mission.missionId}'`;
  return waitUntil('the run is listed', async () => {
    for await (const { workflowId } of system.client.workflow.list({ query }))
      return system.client.workflow.getHandle<MissionRunWorkflow>(workflowId);
    return null;
  });
}

const valueOf = (attributes: CollectedSpan['attributes'], key: string): unknown =>
  Object.values(attributes.find((one) => one.key === key)?.value ?? {})[0];

const hangsInRoundTwo: Answer = (request, count) =>
  roundOf(request) === 1 ? planned(request, count) : hang();
const untilAsked = ({ mission }: Started, count: number): Promise<unknown> =>
  waitUntil('the gateway is asked', () => (counts.get(mission.objective) ?? 0) >= count);

const outcomeOf = async ({ run }: Started): Promise<string> => (await run.result()).outcome;

/** Once more from its first workflow task, as an operator does it. */
async function reset({ run }: Started): Promise<string> {
  const { client, namespace } = system;
  const { events } = await run.fetchHistory();
  const completed = events?.find(
    (event) => event.eventType === proto.temporal.api.enums.v1.EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
  );
  const { runId } = await client.workflowService.resetWorkflowExecution({
    namespace,
    workflowExecution: { workflowId: run.workflowId },
    reason: 'canary',
    requestId: randomUUID(),
    ...(completed?.eventId && { workflowTaskFinishEventId: completed.eventId }),
  });
  await client.workflow.getHandle(run.workflowId, runId).result();
  return runId;
}

const hasFailedAttempt = async ({ run }: Started): Promise<boolean> => {
  const { raw } = await run.describe();
  return raw.pendingActivities?.some(({ lastFailure }) => Boolean(lastFailure)) ?? false;
};

/** Requests that the API refuses, with marks in all that it may have read. */
async function sendBadRequests(token: string): Promise<void> {
  const send = (authorization: string, payload: string) =>
    system.api.inject({
      method: 'POST',
      url: `/api/v1/me/ai-mission-grant?${needles.add('query')}`,
      headers: { authorization, 'content-type': 'application/json', 'user-agent': 'canary' },
      payload,
    });
  const { statusCode: unauthorized } = await send(`Bearer ${token}${needles.add('bad-token')}`, '{}');
  expect(unauthorized).toBe(401);
  const { statusCode: unreadable } = await send(`Bearer ${token}`, `{"missionId": ${needles.add('body')}`);
  expect(unreadable).toBe(400);
  const fields = { missionId: 7, tables: needles.add('tables'), recordIds: [needles.add('record-id')] };
  const { statusCode: malformed } = await send(`Bearer ${token}`, JSON.stringify(fields));
  expect(malformed).toBe(400);
}

/** By name of the needle, so that a failure says what leaked where. */
const named = (leaks: readonly Leak[], names: readonly string[]): Record<string, readonly string[]> =>
  Object.fromEntries(
    leaks.map(({ where, found }) => [where, found.map((index) => names[index] ?? 'unknown')]),
  );

describe('the canary', () => {
  let pending: Started;

  it('missions run, fail, are retried, cancelled, terminated and reset', async () => {
    const succeeded = await start('succeeded', planned);
    const plain = await start('plain', planned, writePlaintextCanary);
    const rejected = [await start('blocked', echoes.blocked), await start('odd-kind', echoes.oddKind)];
    const retried = [echoes.clientError, echoes.noChoices, echoes.noJson].map((echo) =>
      start('retried', (request, count) => (count === 1 ? echo(request) : planned(request, count))),
    );
    pending = await start('pending', echoes.unavailable);
    asked = await startByApi('asked-for');
    const cancelledByUser = await start('cancelled-by-user', hangsInRoundTwo);
    const cancelled = await start('cancelled', hangsInRoundTwo);
    const terminated = [
      await start('terminated', hangsInRoundTwo),
      await start('terminated-plain', hangsInRoundTwo, writePlaintextCanary),
    ];

    expect(await outcomeOf(succeeded)).toBe('planned');
    expect(await outcomeOf(plain)).toBe('planned');
    await reset(succeeded);
    await Promise.all([cancelledByUser, cancelled, ...terminated].map((started) => untilAsked(started, 2)));
    await cancelledByUser.run.signal(cancelRunSignal);
    expect(await outcomeOf(cancelledByUser)).toBe('cancelled');
    await cancelled.run.cancel();
    await expect(cancelled.run.result()).rejects.toThrow();
    for (const { run } of terminated) await run.terminate('canary');
    for (const each of rejected) expect(await outcomeOf(each)).toBe('failed');
    for (const each of retried) expect(await outcomeOf(await each)).toBe('planned');
    await waitUntil('an attempt has failed and the next one waits', () => hasFailedAttempt(pending));
    await sendBadRequests(succeeded.mission.token);
    expect((await asked.result()).outcome).toBe('planned');
  });

  it('leaves a trace of each run: request or schedule, workflow, activities, gateway and SQL', async () => {
    await stopTracing();
    const spans = collector.spans();
    const { runId } = await asked.describe();
    const below = (parent: CollectedSpan | undefined): CollectedSpan[] =>
      spans.filter(
        ({ traceId, parentSpanId }) => traceId === parent?.traceId && parentSpanId === parent.spanId,
      );
    const workflow = spans.find(
      ({ name, attributes }) =>
        name === 'workflow missionRun' && valueOf(attributes, 'temporal.workflow.run_id') === runId,
    );
    const request = spans.find((span) => below(span).some((child) => child === workflow));
    expect(request).toMatchObject({ name: 'POST /api/v1/me/missions/:missionId/run' });
    expect(below(request).map(({ name }) => name)).toContain('select mana_ai.run_slots');
    const activities = below(workflow);
    expect(new Set(activities.map(({ name }) => name))).toEqual(
      new Set(['loadRun', 'sealInputs', 'planRound', 'writeIteration'].map((name) => `activity ${name}`)),
    );
    const round = activities.find(({ name }) => name === 'activity planRound');
    expect(below(round).map(({ name }) => name)).toContain('gateway chat completion');
    for (const activity of activities)
      expect(
        below(activity).filter(({ name }) => / (?:mana_ai|public)\./.test(name)).length,
        activity.name,
      ).toBeGreaterThan(0);
    // Started without a request: the trace begins with the workflow.
    const roots = spans.filter(
      ({ name, parentSpanId }) => name === 'workflow missionRun' && parentSpanId === undefined,
    );
    expect(roots.length).toBeGreaterThan(3);
    for (const root of roots) expect(below(root).length).toBeGreaterThan(0);
    expect(spans.some(({ name }) => name === 'activity followChangeLog')).toBe(false);
    const failed = spans
      .filter(({ status }) => status.code === 2)
      .map(({ attributes }) => valueOf(attributes, 'error.type'));
    expect(failed).toContain('GATEWAY_UNAVAILABLE');
  });

  it('a run that carried a trace replays, as all do that carried none', async () => {
    const history = await asked.fetchHistory();
    const scheduled = history.events?.find((event) => event.activityTaskScheduledEventAttributes);
    expect(Object.keys(scheduled?.activityTaskScheduledEventAttributes?.header?.fields ?? {})).toEqual([
      TRACE_HEADER,
    ]);
    await Worker.runReplayHistory(
      {
        workflowBundle: { codePath: await workflowBundlePath() },
        dataConverter: createDataConverter(system.keys.codecKeys, { refusePlaintext: true }),
      },
      history,
      asked.workflowId,
    );
  });

  it('what was marked reached the gateway, so there was something to leak', () => {
    const sent = Buffer.from(system.gateway.requests.map(({ bodyText }) => bodyText).join('\n'));
    const reached = findLeaks([{ name: 'gateway', content: sent }], needles.values)[0]?.found.length ?? 0;
    // Every text of a mission but its agent's two names and the earlier step, of some 13 missions.
    expect(reached).toBeGreaterThan(100);
  });

  it('no mark stands anywhere but in the change log', async () => {
    const names = [...needles.names, ...Object.keys(repeated)];
    const values = [...needles.values, ...Object.values(repeated)];
    const places = [
      ...(await searchedPlaces(system, { temporalDatabase: databaseFile, logs: logs() })),
      { name: 'spans', content: Buffer.from(collector.text()) },
    ];
    expect(places.filter(({ content }) => content.length === 0).map(({ name }) => name)).toEqual([]);
    expect(named(findLeaks(places, values), names)).toEqual({});
  });

  it('the rows that the runner wrote repeat what the gateway said and what stood there in clear, nothing else', async () => {
    const rows = await withClient(system.databases.superuser.syncUrl, async (client) => {
      const { rows: written } = await client.query<{ row: string }>(
        `select t::text as row from public.sync_changes t where client_id = 'mana-ai-runner'`,
      );
      return written.map(({ row }) => row);
    });
    const place = { name: 'rows of the runner', content: Buffer.from(rows.join('\n')) };
    expect(findLeaks([place], Object.values(repeated))[0]?.found).toHaveLength(2);
    const found = named(findLeaks([place], needles.values), needles.names)['rows of the runner'] ?? [];
    // The array of iterations comes whole, and the actor bears the agent's name (docs/platform.md sections 2 and 4).
    expect(found.filter((name) => !/-(feedback|earlier-step|agent-name)-/.test(name))).toEqual([]);
  });

  it('what is encrypted stands nowhere in the change log', async () => {
    const place = await tablesPlace(
      'sync_changes',
      system.databases.superuser.syncUrl,
      `tablename = 'sync_changes'`,
    );
    const found = named(findLeaks([place], needles.values), needles.names)['sync_changes'] ?? [];
    const inClear = /-(feedback|earlier-step|agent-name|agent-role)-|^CANARY-(terminated-)?plain-/;
    expect(found.length).toBeGreaterThan(0);
    expect(found.filter((name) => !inClear.test(name))).toEqual([]);
  });

  it('finds leaks that are planted: in a log line, in an error text and in payloads of a history', async () => {
    const planted = {
      logLine: mark('planted-log-line'),
      errorText: mark('planted-error-text'),
      input: mark('planted-input'),
      memo: mark('planted-memo'),
    };
    await leak(planted);
    const places = await searchedPlaces(system, { temporalDatabase: databaseFile, logs: logs() });
    expect(named(findLeaks(places, Object.values(planted)), Object.keys(planted))).toEqual({
      'workflow histories': ['errorText', 'input', 'memo'],
      "Temporal's database": ['errorText', 'input', 'memo'],
      visibility: ['memo'],
      descriptions: ['memo'],
      'log lines': ['logLine'],
    });
    await pending.run.terminate('canary');
  });
});

interface Planted {
  readonly logLine: string;
  readonly errorText: string;
  readonly input: string;
  readonly memo: string;
}

/** What a careless change would do: no codec, no failure converter, content in a message. */
async function leak(planted: Planted): Promise<void> {
  const taskQueue = 'leaking';
  const connection = await NativeConnection.connect({ address: temporal.address });
  const activities: LeakingActivities = {
    leak: () => {
      log.info(`working on ${planted.logLine}`);
      return Promise.reject(ApplicationFailure.nonRetryable(`cannot work on ${planted.errorText}`));
    },
  };
  const worker = await Worker.create({
    connection,
    namespace: system.namespace,
    taskQueue,
    activities,
    workflowsPath: fileURLToPath(new URL('../support/leaking.workflows.ts', import.meta.url)),
  });
  const client = new Client({ connection, namespace: system.namespace });
  await worker.runUntil(async () => {
    const running = client.workflow.execute<(content: string) => Promise<void>>('leakingRun', {
      workflowId: 'leaking',
      taskQueue,
      args: [planted.input],
      memo: { note: planted.memo },
    });
    await expect(running).rejects.toThrow();
  });
  await connection.close();
}
