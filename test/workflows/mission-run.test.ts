import { toIterationId } from '#domain/base/ids.ts';
import { randomUUID } from 'node:crypto';
import proto from '@temporalio/proto';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { DefaultLogger, Runtime, Worker, type InjectedSinks } from '@temporalio/worker';
import type { Sinks } from '@temporalio/workflow';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runActivity } from '#activities/run-activity.ts';
import { gatewayRetryDelay, researchRetryDelay, slotRetryDelay } from '#activities/retry-delays.ts';
import type { RunnerActivities } from '#activities/runner/activities.ts';
import type { VaultActivities } from '#activities/vault/activities.ts';
import { timeSkippingServerPath } from '#dev/temporal-server.ts';
import {
  EventIdConflictError,
  GatewayDeniedError,
  GatewayRejectedError,
  GatewayUnavailableError,
  GrantUnusableError,
  ResearchPendingError,
  ResearchUnavailableError,
  RunKeyLostError,
  SlotBusyError,
  WindowTooSmallError,
} from '#domain/base/errors.ts';
import type {
  CompactTranscriptInput,
  CompactTranscriptResult,
  LoadedRun,
  LoadRunInput,
  LoadRunResult,
  MissionRunResult,
  PlanRoundInput,
  PlanRoundResult,
  RefusedRun,
  ResearchKind,
  SealResult,
  SubmitResearchResult,
  WriteIterationInput,
  WriteIterationResult,
} from '#domain/run/run.ts';
import type { RunReports } from '#domain/run/run-report.ts';
import type { TraceReports } from '#domain/run/trace.ts';
import { createLogger } from '#logging/logger.ts';
import { registry } from '#metrics/registry.ts';
import { createRunReports } from '#worker/run-reports.ts';
import { SEARCH_ATTRIBUTE_NAMES } from '#domain/run/search-attributes.ts';
import { createDataConverter } from '#temporal/data-converter.ts';
import {
  cancelRunSignal,
  HEAL_ITERATIONS_WORKFLOW_TYPE,
  MISSION_RUN_WORKFLOW_TYPE,
  RUNNER_TASK_QUEUE,
  runProgressQuery,
  SWEEP_RUNS_WORKFLOW_TYPE,
  VAULT_TASK_QUEUE,
  type MissionRunInput,
} from '#temporal/messages.ts';
import { waitUntil } from '#test/support/wait-until.ts';
import { workflowBundlePath } from '#test/support/workflow-bundle.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const random = (): number => 0.5;

/** What the activities of one mission do; a run that needs none of them is a fault of the test. */
interface Fakes {
  readonly loadRun?: (input: LoadRunInput, attempt: number) => LoadRunResult | Promise<LoadRunResult>;
  readonly sealInputs?: () => SealResult;
  /** May throw what the real one throws. */
  readonly planRound?: (
    input: PlanRoundInput,
    signal: AbortSignal,
  ) => PlanRoundResult | Promise<PlanRoundResult>;
  readonly submitResearch?: () => SubmitResearchResult | Promise<SubmitResearchResult>;
  readonly awaitResearch?: (attempt: number) => void | Promise<void>;
  readonly compactTranscript?: (input: CompactTranscriptInput) => CompactTranscriptResult;
  readonly writeIteration?: (input: WriteIterationInput) => WriteIterationResult;
}

interface Recorded extends Fakes {
  readonly loads: LoadRunInput[];
  readonly seals: number[];
  /** The server's time at each call of the gateway. */
  readonly rounds: (PlanRoundInput & { readonly atMs: number })[];
  /** What was done besides rounds, in its order. */
  readonly besides: string[];
  readonly writes: WriteIterationInput[];
  readonly forgotten: string[];
}

const missions = new Map<string, Recorded>();
const of = (missionId: string): Recorded => {
  const found = missions.get(missionId);
  if (found === undefined) throw new Error('a mission of no test');
  return found;
};

const ready = (more: Partial<LoadedRun> = {}): LoadedRun => ({
  ...{
    outcome: 'ready',
    iterationId: toIterationId('i1'),
    agentId: null,
    grant: 'absent',
    ownFieldsEncrypted: false,
  },
  longestWaitMs: 30 * MINUTE_MS,
  ...more,
});
const sealed = (more: Partial<SealResult> = {}): SealResult => ({
  ...{ problem: null, sealed: 1, failed: 0, scopeViolations: 0, ownFieldsReadable: true },
  ...more,
});
const round = (status: PlanRoundResult['status'], steps = 1): PlanRoundResult => ({
  status,
  steps,
  totalTokens: 10,
});
const written = ({ result }: WriteIterationInput): WriteIterationResult =>
  result.kind === 'failed'
    ? { outcome: 'failed', steps: 0, failureCode: result.failure.code }
    : { outcome: result.kind === 'planned' ? 'planned' : 'advanced', steps: 1, failureCode: null };

const lines: string[] = [];
/** The line that the log has of a run's end. */
const endLineOf = (missionId: string): Promise<unknown> =>
  waitUntil('its end is logged', () => {
    const line = lines.find((each) => each.includes(missionId) && each.includes('"msg":"run ended"'));
    return line === undefined ? null : (JSON.parse(line) as unknown);
  });
/** By workflow, of those whose span was made: whether it says that something went wrong. */
const tracedEnds = new Map<string, boolean>();
/** How many seconds were observed in how many cases, by one metric. */
async function observed(name: string): Promise<{ readonly count: number; readonly sum: number }> {
  const values = (await registry.getSingleMetric(name)?.get())?.values as
    readonly { readonly metricName?: string; readonly value: number }[] | undefined;
  const total = (suffix: string): number =>
    (values ?? [])
      .filter(({ metricName }) => metricName === `${name}_${suffix}`)
      .reduce((sum, { value }) => sum + value, 0);
  return { count: total('count'), sum: total('sum') };
}

let environment: TestWorkflowEnvironment;
let stop: () => Promise<void>;

/** The activities as the workflow sees them: with the real failures and retry delays around the fakes. */
const runner: RunnerActivities = {
  loadRun: (input) =>
    runActivity(
      ({ attempt }) => {
        const mission = of(input.missionId);
        mission.loads.push(input);
        return Promise.resolve((mission.loadRun ?? (() => ready()))(input, attempt));
      },
      { retryDelay: slotRetryDelay(random) },
    ),
  planRound: (input) =>
    runActivity(
      async ({ signal }) => {
        const mission = of(input.missionId);
        mission.rounds.push({ ...input, atMs: await environment.currentTimeMs() });
        return (mission.planRound ?? (() => round('finished')))(input, signal);
      },
      { retryDelay: gatewayRetryDelay(random), heartbeatEveryMs: 100 },
    ),
  submitResearch: (input) =>
    runActivity(
      async () => {
        const mission = of(input.missionId);
        mission.besides.push(`submit ${input.kind}`);
        return (mission.submitResearch ?? (() => ({ state: 'done' as const })))();
      },
      { retryDelay: researchRetryDelay(random) },
    ),
  awaitResearch: (input) =>
    runActivity(
      async ({ attempt }) => {
        const mission = of(input.missionId);
        if (attempt === 1) mission.besides.push('await');
        await mission.awaitResearch?.(attempt);
      },
      { retryDelay: researchRetryDelay(random) },
    ),
  giveUpResearch: (input) => {
    of(input.missionId).besides.push('give up');
    return Promise.resolve();
  },
  compactTranscript: (input) =>
    runActivity(
      () => {
        const mission = of(input.missionId);
        mission.besides.push(`compact ${input.round}`);
        return Promise.resolve(
          (mission.compactTranscript ?? (() => ({ compacted: true, totalTokens: 5 })))(input),
        );
      },
      { retryDelay: gatewayRetryDelay(random) },
    ),
  writeIteration: (input) =>
    runActivity(() => {
      const mission = of(input.missionId);
      mission.writes.push(input);
      return Promise.resolve((mission.writeIteration ?? written)(input));
    }),
  forgetRun: (run) => {
    of(run.missionId).forgotten.push(run.runId);
    return Promise.resolve();
  },
  healIterations: () => Promise.resolve({ restored: 2 }),
  sweepRuns: () => Promise.resolve({ swept: 3 }),
};
const vault: VaultActivities = {
  sealInputs: (run) =>
    runActivity(() => {
      const mission = of(run.missionId);
      mission.seals.push(1);
      return Promise.resolve((mission.sealInputs ?? (() => sealed()))());
    }),
};

beforeAll(async () => {
  // Failing activities are what is tested; no need to log them.
  Runtime.install({
    logger: new DefaultLogger('ERROR', () => undefined),
    telemetryOptions: { logging: { filter: 'ERROR', forward: {} } },
  });
  const key = Buffer.alloc(32, 7);
  const keys = { primaryKeyId: 'k', keys: new Map([['k', key]]) };
  const dataConverter = createDataConverter(keys, { refusePlaintext: true });
  environment = await TestWorkflowEnvironment.createTimeSkipping({
    server: { executable: { type: 'existing-path', path: timeSkippingServerPath() } },
    client: { dataConverter },
  });
  // This server refuses attributes that it was not told of, as the real one does.
  const keyword = proto.temporal.api.enums.v1.IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD;
  await environment.connection.operatorService.addSearchAttributes({
    namespace: 'default',
    searchAttributes: Object.fromEntries(
      Object.values(SEARCH_ATTRIBUTE_NAMES).map((name) => [name, keyword]),
    ),
  });
  const connection = environment.nativeConnection;
  const workflowBundle = { codePath: await workflowBundlePath() };
  const workers = [
    await Worker.create({
      ...{ connection, dataConverter, workflowBundle, taskQueue: RUNNER_TASK_QUEUE },
      sinks: {
        ...createRunReports(createLogger('runner', 'info', { write: (line) => void lines.push(line) })),
        traces: {
          ended: { fn: ({ workflowId }, { hasFailed }) => void tracedEnds.set(workflowId, hasFailed) },
        },
      } satisfies InjectedSinks<RunReports & TraceReports & Sinks>,
      activities: { ...runner },
    }),
    await Worker.create({ connection, dataConverter, taskQueue: VAULT_TASK_QUEUE, activities: { ...vault } }),
  ];
  const running = workers.map((worker) => worker.run());
  stop = async () => {
    for (const worker of workers) worker.shutdown();
    await Promise.all(running);
    await environment.teardown();
  };
});
afterAll(() => stop());

type MissionRun = (input: MissionRunInput) => Promise<MissionRunResult>;

function newMission(fakes: Fakes) {
  const missionId = randomUUID();
  const recorded: Recorded = {
    ...fakes,
    loads: [],
    seals: [],
    rounds: [],
    besides: [],
    writes: [],
    forgotten: [],
  };
  missions.set(missionId, recorded);
  return { missionId, recorded };
}

async function start(fakes: Fakes) {
  const { missionId, recorded } = newMission(fakes);
  const handle = await environment.client.workflow.start<MissionRun>(MISSION_RUN_WORKFLOW_TYPE, {
    workflowId: missionId,
    taskQueue: RUNNER_TASK_QUEUE,
    args: [{ userId: 'u', missionId, trigger: 'projection' }],
  });
  return { handle, recorded };
}

/** Runs to the end, skipping time. */
async function run(fakes: Fakes) {
  const { handle, recorded } = await start(fakes);
  return { result: await handle.result(), ...recorded, runId: handle.firstExecutionRunId };
}

const unavailable = (retryAfterMs: number | null = null) =>
  new GatewayUnavailableError({ kind: null, status: 503, retryAfterMs });
const throwing = (error: Error) => () => Promise.reject<PlanRoundResult>(error);
const GRANTED = { loadRun: () => ready({ grant: 'usable', ownFieldsEncrypted: true }) };

describe('a run', () => {
  it('goes through load, seal, rounds, write-back and forgetting', async () => {
    const rounds = [round('continue', 1), round('continue', 2), round('finished', 2)];
    const done = await run({ ...GRANTED, planRound: () => rounds.shift() ?? round('finished') });
    expect(done.result).toMatchObject({ outcome: 'planned', rounds: 3, totalTokens: 30, failureCode: null });
    expect(done.seals).toHaveLength(1);
    expect(done.rounds.map((each) => [each.round, each.grantUsable])).toEqual([
      [1, true],
      [2, true],
      [3, true],
    ]);
    expect(done.writes).toMatchObject([
      { iterationId: 'i1', grantUsable: true, result: { kind: 'planned' } },
    ]);
    expect(done.forgotten).toEqual([done.runId]);
  });

  it('without a grant seals nothing, and plans with what is in clear', async () => {
    const done = await run({});
    expect(done.result).toMatchObject({ outcome: 'planned', rounds: 1 });
    expect(done.seals).toEqual([]);
    expect(done.rounds).toMatchObject([{ grantUsable: false }]);
  });

  it('asks five rounds at most, and then writes what there is', async () => {
    const done = await run({ planRound: () => round('continue') });
    expect(done.rounds.map((each) => each.round)).toEqual([1, 2, 3, 4, 5]);
    expect(done.writes).toMatchObject([{ result: { kind: 'planned' } }]);
  });

  it.each([
    ['key-changed', 'usable', 'grant-key-changed'],
    ['mission-empty', 'usable', 'mission-empty'],
    ['mission-undecryptable', 'usable', 'mission-undecryptable'],
    ['mission-undecryptable', 'expired', 'grant-expired'],
    ['mission-undecryptable', 'absent', 'grant-absent'],
  ] as const)('without the user’s words (%s, grant %s) fails as %s', async (status, grant, code) => {
    const done = await run({ loadRun: () => ready({ grant }), planRound: () => round(status, 0) });
    expect(done.writes).toMatchObject([
      { result: { kind: 'failed', failure: { code, phase: 'resolving-inputs' } } },
    ]);
    expect(done.rounds).toHaveLength(1);
  });

  it('whose budget ends in a later round writes the steps that it has', async () => {
    const rounds = [round('continue', 1), round('budget-exhausted', 1)];
    const done = await run({ planRound: () => rounds.shift() ?? round('finished') });
    expect(done.writes).toMatchObject([{ result: { kind: 'planned' } }]);
  });

  it('whose mission was deleted meanwhile says so', async () => {
    const done = await run({
      writeIteration: () => ({ outcome: 'mission-gone', steps: 0, failureCode: null }),
    });
    expect(done.result).toMatchObject({ outcome: 'deleted' });
  });
});

describe('a run that a gate ends', () => {
  it.each<RefusedRun['outcome']>(['not-due', 'already-running', 'paused', 'deleted'])(
    'with %s writes and forgets nothing',
    async (outcome) => {
      const done = await run({ loadRun: () => ({ outcome, iterationId: null }) });
      expect(done.result).toMatchObject({ outcome, rounds: 0 });
      expect([done.seals, done.rounds, done.writes, done.forgotten]).toEqual([[], [], [], []]);
    },
  );

  it.each<RefusedRun['outcome']>(['already-written', 'agent-paused'])(
    'with %s only moves on to the next instant',
    async (outcome) => {
      const done = await run({ loadRun: () => ({ outcome, iterationId: toIterationId('i1') }) });
      expect(done.result).toMatchObject({ outcome, rounds: 0 });
      expect(done.writes).toMatchObject([{ result: { kind: 'advance-only' } }]);
      expect(done.forgotten).toHaveLength(1);
    },
  );
});

describe('a run that fails', () => {
  const own = { ownFieldsEncrypted: true };

  it.each<[string, Fakes, string, number]>([
    ['no grant for its own fields', { loadRun: () => ready(own) }, 'grant-absent', 0],
    ['an expired grant', { loadRun: () => ready({ ...own, grant: 'expired' }) }, 'grant-expired', 0],
    [
      'a grant that the vault refuses',
      { ...GRANTED, sealInputs: () => sealed({ problem: 'revoked' }) },
      'grant-revoked',
      1,
    ],
    [
      'own fields that do not open',
      { ...GRANTED, sealInputs: () => sealed({ ownFieldsReadable: false }) },
      'mission-undecryptable',
      1,
    ],
  ])('for %s asks no model and says why', async (_, fakes, code, seals) => {
    const done = await run(fakes);
    expect(done.result).toMatchObject({ outcome: 'failed', failureCode: code, rounds: 0 });
    expect(done.rounds).toEqual([]);
    expect(done.seals).toHaveLength(seals);
    expect(done.writes).toMatchObject([
      { result: { kind: 'failed', failure: { code, phase: 'resolving-inputs' } } },
    ]);
    expect(done.forgotten).toHaveLength(1);
  });

  it.each<[string, NonNullable<Fakes['planRound']>, string, number]>([
    ['a grant that ended meanwhile', throwing(new GrantUnusableError('revoked')), 'grant-revoked', 1],
    [
      'a refusal',
      throwing(new GatewayRejectedError({ kind: 'blocked', status: 422, retryAfterMs: null })),
      'gateway-rejected',
      1,
    ],
    [
      'a hiccup twice',
      throwing(new GatewayRejectedError({ kind: null, status: 400, retryAfterMs: null }, true)),
      'gateway-rejected',
      2,
    ],
    ['a window that is too small', throwing(new WindowTooSmallError()), 'window-too-small', 1],
    ['a transcript that is lost', () => round('transcript-lost', 0), 'run-interrupted', 1],
    ['a budget that is used up', () => round('budget-exhausted', 0), 'budget-exhausted', 1],
  ])('for %s says why, once', async (_, planRound, code, calls) => {
    const done = await run({ planRound });
    expect(done.result).toMatchObject({ outcome: 'failed', failureCode: code });
    expect(done.rounds).toHaveLength(calls);
    expect(done.writes).toMatchObject([
      { result: { kind: 'failed', failure: { code, phase: 'calling-llm' } } },
    ]);
  });

  it('runs all the same when only inputs need the grant that it lacks', async () => {
    const done = await run({ loadRun: () => ready({ grant: 'expired' }) });
    expect(done.result).toMatchObject({ outcome: 'planned' });
  });
});

describe('a later round that fails', () => {
  const denied = new GatewayDeniedError({ kind: 'auth', status: 401, retryAfterMs: null });
  it.each<[string, Error, string]>([
    [
      'a refusal',
      new GatewayRejectedError({ kind: 'blocked', status: 422, retryAfterMs: null }),
      'gateway-rejected',
    ],
    ['a request that is too large for the model', new WindowTooSmallError(), 'window-too-small'],
    ['a gateway that is down', unavailable(), 'gateway-unavailable'],
    ['a key that is not accepted', denied, 'gateway-unavailable'],
    ['a key that is lost', new RunKeyLostError(), 'run-interrupted'],
    ['an agent that stays busy', new SlotBusyError('i1', 0), 'run-interrupted'],
  ])('for %s costs none of the steps that are there', async (_, error, code) => {
    const rounds = [round('continue', 2)];
    const planRound = () => {
      const first = rounds.shift();
      return first === undefined ? Promise.reject<PlanRoundResult>(error) : Promise.resolve(first);
    };
    const done = await run({ planRound });
    expect(done.writes).toMatchObject([
      { result: { kind: 'planned', cutShort: { code, phase: 'calling-llm' } } },
    ]);
    expect(done.result).toMatchObject({ outcome: 'planned' });
    expect(done.forgotten).toHaveLength(1);
  });
});

describe('a gateway', () => {
  const elapsedMs = (rounds: Recorded['rounds']): number =>
    (rounds.at(-1)?.atMs ?? 0) - (rounds[0]?.atMs ?? 0);

  it('that is down for good costs two hours of tries, then one failed iteration names the cause', async () => {
    const done = await run({ planRound: throwing(unavailable()) });
    expect(done.result).toMatchObject({ outcome: 'failed', failureCode: 'gateway-unavailable', rounds: 1 });
    expect(done.writes).toHaveLength(1);
    expect(elapsedMs(done.rounds)).toBeGreaterThan(1.8 * HOUR_MS);
    expect(elapsedMs(done.rounds)).toBeLessThanOrEqual(2 * HOUR_MS);
    // Backed off: some forty calls, not a call a second.
    expect(done.rounds.length).toBeLessThan(50);
  });

  it('that accepts no key of ours is asked for two hours, and no user is told to change anything', async () => {
    const denied = new GatewayDeniedError({ kind: null, status: 403, retryAfterMs: null });
    const done = await run({ planRound: throwing(denied) });
    expect(done.result).toMatchObject({ outcome: 'failed', failureCode: 'gateway-unavailable' });
    expect(elapsedMs(done.rounds)).toBeGreaterThan(1.8 * HOUR_MS);
  });

  it('that answers with nothing to read is not called unreachable: at once where each answer is paid for, else after two hours', async () => {
    const unreadable = { kind: null, status: 200, retryAfterMs: null };
    const paid = new GatewayUnavailableError(unreadable, { failures: 2, refusals: 0, unreadable: 2 });
    for (const error of [paid, new GatewayUnavailableError(unreadable)]) {
      const done = await run({ planRound: throwing(error) });
      expect(done.result).toMatchObject({ outcome: 'failed', failureCode: 'unreadable-reply' });
      expect(done.writes).toHaveLength(1);
      if (error === paid) expect(done.rounds).toHaveLength(1);
      else expect(elapsedMs(done.rounds)).toBeGreaterThan(1.8 * HOUR_MS);
    }
  });

  it('that is down for an hour costs no iteration', async () => {
    let endMs = Infinity;
    const done = await run({
      planRound: async () => {
        const nowMs = await environment.currentTimeMs();
        if (endMs === Infinity) endMs = nowMs + HOUR_MS;
        if (nowMs < endMs) throw unavailable();
        return round('finished');
      },
    });
    expect(done.result).toMatchObject({ outcome: 'planned', failureCode: null });
    expect(elapsedMs(done.rounds)).toBeGreaterThanOrEqual(HOUR_MS);
    expect(elapsedMs(done.rounds)).toBeLessThan(HOUR_MS + 6 * MINUTE_MS);
  });

  it('that names a time is not asked before it', async () => {
    const replies = [unavailable(10 * MINUTE_MS)];
    const done = await run({
      planRound: () => {
        const error = replies.shift();
        if (error !== undefined) throw error;
        return round('finished');
      },
    });
    expect(done.rounds).toHaveLength(2);
    expect(elapsedMs(done.rounds)).toBeGreaterThanOrEqual(10 * MINUTE_MS);
  });
});

describe('research', () => {
  /** The first round wants it, until it has been done. */
  const wanting = (kind: ResearchKind): NonNullable<Fakes['planRound']> => {
    let asked = false;
    return () => {
      if (asked) return round('finished');
      asked = true;
      return { ...round('research-wanted', 0), totalTokens: 0, research: kind };
    };
  };
  const submitted = (): SubmitResearchResult => ({ state: 'submitted' });

  it('comes before the first round, which is then asked; a run without wishes has none', async () => {
    const done = await run({ planRound: wanting('shallow') });
    expect(done.besides).toEqual(['submit shallow']);
    expect(done.rounds.map((each) => each.round)).toEqual([1, 1]);
    expect(done.result).toMatchObject({ outcome: 'planned', rounds: 1, totalTokens: 10 });
    expect((await run({})).besides).toEqual([]);
  });

  it('of an hour is waited for, and costs no more events than one of a second', async () => {
    let endMs = Infinity;
    const { handle, recorded } = await start({
      planRound: wanting('deep'),
      submitResearch: submitted,
      awaitResearch: async () => {
        const nowMs = await environment.currentTimeMs();
        if (endMs === Infinity) endMs = nowMs + 58 * MINUTE_MS;
        if (nowMs < endMs) throw new ResearchPendingError();
      },
    });
    expect(await handle.result()).toMatchObject({ outcome: 'planned' });
    expect(recorded.besides).toEqual(['submit deep', 'await']);
    const [first, second] = recorded.rounds;
    expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThanOrEqual(58 * MINUTE_MS);
    expect((await handle.fetchHistory()).events?.length).toBeLessThan(60);
  });

  it.each<[string, Partial<Fakes>, string[]]>([
    [
      'takes longer than 65 minutes',
      { submitResearch: submitted, awaitResearch: () => Promise.reject(new ResearchPendingError()) },
      ['submit deep', 'await', 'give up'],
    ],
    [
      'finds its service down three times',
      { submitResearch: () => Promise.reject(new ResearchUnavailableError(null)) },
      ['submit deep', 'submit deep', 'submit deep', 'give up'],
    ],
    [
      'loses its grant',
      { submitResearch: submitted, awaitResearch: () => Promise.reject(new GrantUnusableError('revoked')) },
      ['submit deep', 'await', 'give up'],
    ],
    ['fails', { submitResearch: () => ({ state: 'failed' }) }, ['submit deep']],
  ])('that %s is given up, and the run goes on without', async (_, fakes, besides) => {
    const done = await run({ planRound: wanting('deep'), ...fakes });
    expect(done.besides).toEqual(besides);
    expect(done.result).toMatchObject({ outcome: 'planned', rounds: 1 });
  });

  it('is cancelled with its run', async () => {
    const { handle, recorded } = await start({
      planRound: wanting('deep'),
      submitResearch: submitted,
      awaitResearch: () => Promise.reject(new ResearchPendingError()),
    });
    await waitUntil('the run waits', () => recorded.besides.includes('await'));
    await handle.signal(cancelRunSignal);
    expect(await handle.result()).toMatchObject({ outcome: 'cancelled' });
    expect(recorded.besides).not.toContain('give up');
  });
});

describe('a conversation near the window', () => {
  const compactEach = (): NonNullable<Fakes['planRound']> => () => ({ ...round('continue'), compact: true });

  it('is compacted before the next round, not after the last one, and its tokens are counted', async () => {
    const done = await run({ loadRun: () => ready({ maxRounds: 3 }), planRound: compactEach() });
    expect(done.besides).toEqual(['compact 1', 'compact 2']);
    expect(done.result).toMatchObject({ outcome: 'planned', rounds: 3, totalTokens: 40 });
  });

  it('goes on as it is where that fails', async () => {
    const done = await run({
      loadRun: () => ready({ maxRounds: 2 }),
      planRound: compactEach(),
      compactTranscript: () => {
        throw unavailable();
      },
    });
    expect(done.besides).toEqual(['compact 1', 'compact 1', 'compact 1']);
    expect(done.result).toMatchObject({ outcome: 'planned', rounds: 2 });
  });
});

describe('a busy agent', () => {
  const busy = new SlotBusyError('i1', 30 * MINUTE_MS);

  it('makes the run wait until there is room, which is measured', async () => {
    let looks = 0;
    const before = await observed('mana_agent_slot_wait_seconds');
    const done = await run({
      loadRun: () => {
        looks += 1;
        if (looks < 8) throw busy;
        return ready({ agentId: 'a1' });
      },
    });
    expect(done.result).toMatchObject({ outcome: 'planned' });
    expect(done.loads).toHaveLength(8);
    const after = await observed('mana_agent_slot_wait_seconds');
    expect(after.count).toBe(before.count + 1);
    // The first look was a local activity's; then six pauses, of 3.75 to 45 s.
    expect(after.sum - before.sum).toBeGreaterThan(60);
    expect(after.sum - before.sum).toBeLessThan(300);
  });

  it('is waited for no longer than until the next run is due; then the run only moves on', async () => {
    const done = await run({
      loadRun: () => {
        throw busy;
      },
    });
    expect(done.result).toMatchObject({ outcome: 'agent-busy', rounds: 0 });
    // Half an hour in steps of some 45 s.
    expect(done.loads.length).toBeGreaterThan(25);
    expect(done.loads.length).toBeLessThan(60);
    expect(done.writes).toMatchObject([{ iterationId: 'i1', result: { kind: 'advance-only' } }]);
    expect(done.forgotten).toHaveLength(1);
  });
});

it('a workflow task that fails ends no run: it is done again', async () => {
  const workflowId = randomUUID();
  const handle = await environment.client.workflow.start<MissionRun>(MISSION_RUN_WORKFLOW_TYPE, {
    ...{ workflowId, taskQueue: RUNNER_TASK_QUEUE },
    args: [{ userId: ' ', missionId: workflowId, trigger: 'projection' }],
  });
  await waitUntil('a task has failed', async () => {
    const { events } = await handle.fetchHistory();
    return events?.some((event) => event.workflowTaskFailedEventAttributes) === true;
  });
  const told = lines.filter((line) => line.includes(workflowId));
  expect(told.length).toBeGreaterThan(0);
  for (const line of told) expect(JSON.parse(line)).toMatchObject({ msg: 'run started' });
  expect(tracedEnds.has(workflowId)).toBe(false);
  await handle.terminate();
});

describe('cancelRun', () => {
  it('between two tries of the gateway ends the run at once: no iteration, the next instant, forgotten', async () => {
    const { handle, recorded } = await start({ planRound: throwing(unavailable()) });
    await waitUntil('the gateway was asked', () => recorded.rounds.length > 0);
    await handle.signal(cancelRunSignal);
    expect(await handle.result()).toMatchObject({ outcome: 'cancelled', failureCode: null });
    expect(recorded.writes).toMatchObject([{ result: { kind: 'advance-only' } }]);
    expect(recorded.forgotten).toHaveLength(1);
  });

  it('while it is loaded waits until that has claimed the instant or not: the claim is ended', async () => {
    const [loading, cancelled] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()];
    const { handle, recorded } = await start({
      loadRun: async () => {
        loading.resolve(undefined);
        await cancelled.promise;
        return ready();
      },
      planRound: throwing(unavailable()),
    });
    await loading.promise;
    await handle.signal(cancelRunSignal);
    // The workflow hears of it when the worker asks for more time for the load.
    await waitUntil('the signal has reached the worker', async () => {
      const { events } = await handle.fetchHistory();
      const types = (events ?? []).map(({ eventType }) => eventType);
      const { EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED: SIGNALED, EVENT_TYPE_WORKFLOW_TASK_STARTED: STARTED } =
        proto.temporal.api.enums.v1.EventType;
      return types.includes(SIGNALED) && types.slice(types.indexOf(SIGNALED)).includes(STARTED);
    });
    cancelled.resolve(undefined);
    expect(await handle.result()).toMatchObject({ outcome: 'cancelled' });
    expect(recorded.writes).toMatchObject([{ result: { kind: 'advance-only', cause: 'cancelled' } }]);
    expect(recorded.rounds).toEqual([]);
    expect(recorded.forgotten).toHaveLength(1);
  });

  it('during a call aborts it', async () => {
    const asked = Promise.withResolvers<AbortSignal>();
    const { handle } = await start({
      planRound: (_input, signal) => {
        asked.resolve(signal);
        return new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(new Error('aborted')));
        });
      },
    });
    const signal = await asked.promise;
    expect(await handle.query(runProgressQuery)).toEqual({ phase: 'calling-llm', round: 1, totalTokens: 0 });
    await handle.signal(cancelRunSignal);
    expect(await handle.result()).toMatchObject({ outcome: 'cancelled' });
    await waitUntil('the call is aborted', () => signal.aborted);
  });

  it('by an operator in Temporal shows as cancelled there, and the mission moves on as well', async () => {
    const { handle, recorded } = await start({ planRound: throwing(unavailable()) });
    await waitUntil('the gateway was asked', () => recorded.rounds.length > 0);
    await handle.cancel();
    await expect(handle.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
    expect((await handle.describe()).status.name).toBe('CANCELLED');
    expect(await endLineOf(handle.workflowId)).toMatchObject({ outcome: 'cancelled', rounds: null });
    // As it was told: nothing went wrong.
    expect(tracedEnds.get(handle.workflowId)).toBe(false);
    expect(recorded.writes).toMatchObject([{ result: { kind: 'advance-only' } }]);
    expect(recorded.forgotten).toHaveLength(1);
  });
});

describe('what is measured of a run', () => {
  it('is how late it began, how long it took and each phase, in the time that the server knows', async () => {
    const names = ['mana_run_start_lag_seconds', 'mana_run_duration_seconds'];
    const before = await Promise.all(names.map(observed));
    const dueAtMs = (await environment.currentTimeMs()) - 20_000;
    const slow = [throwing(unavailable()), () => round('continue'), () => round('finished')];
    const { handle } = await start({
      loadRun: () => ready({ dueAtMs }),
      planRound: () => (slow.shift() ?? (() => round('finished')))(),
    });
    await handle.result();
    const line = (await endLineOf(handle.workflowId)) as {
      durationMs: number;
      phaseMs: Record<string, number>;
    };
    const after = await Promise.all(names.map(observed));
    const [lag, runs] = after.map(({ count, sum }, index) => ({
      count: count - (before[index]?.count ?? 0),
      sum: sum - (before[index]?.sum ?? 0),
    }));
    expect(lag).toMatchObject({ count: 1 });
    expect(lag?.sum).toBeGreaterThanOrEqual(20);
    expect(runs?.sum).toBeCloseTo(line.durationMs / 1_000, 3);
    // The pause after the gateway's failure is part of the phase.
    expect(line.phaseMs['calling-llm']).toBeGreaterThan(3_000);
  });

  it('and one that cannot even say that it failed ends as stuck', async () => {
    const { handle } = await start({
      writeIteration: () => {
        throw new EventIdConflictError();
      },
    });
    await expect(handle.result()).rejects.toThrow();
    expect(await endLineOf(handle.workflowId)).toMatchObject({
      outcome: 'stuck',
      failureCode: null,
      rounds: null,
    });
  });
});

it('healIterations and sweepRuns pass on what they did', async () => {
  const execute = (type: string, args: unknown[]): Promise<unknown> =>
    environment.client.workflow.execute(type, {
      workflowId: randomUUID(),
      taskQueue: RUNNER_TASK_QUEUE,
      args,
    });
  expect(await execute(HEAL_ITERATIONS_WORKFLOW_TYPE, [{ userId: 'u', missionId: 'm' }])).toEqual({
    restored: 2,
  });
  expect(await execute(SWEEP_RUNS_WORKFLOW_TYPE, [])).toEqual({ swept: 3 });
});
