import { toIterationId } from '#domain/base/ids.ts';
import { randomUUID } from 'node:crypto';
import proto from '@temporalio/proto';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { DefaultLogger, Runtime, Worker, type InjectedSinks } from '@temporalio/worker';
import type { Sinks } from '@temporalio/workflow';
import { runActivity } from '#activities/run-activity.ts';
import { gatewayRetryDelay, researchRetryDelay, slotRetryDelay } from '#activities/retry-delays.ts';
import type { RunnerActivities } from '#activities/runner/activities.ts';
import type { VaultActivities } from '#activities/vault/activities.ts';
import { timeSkippingServerPath } from '#dev/temporal-server.ts';
import { GatewayUnavailableError } from '#domain/base/errors.ts';
import type {
  CompactTranscriptInput,
  CompactTranscriptResult,
  LoadedRun,
  LoadRunInput,
  LoadRunResult,
  MissionRunResult,
  PlanRoundInput,
  PlanRoundResult,
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
  MISSION_RUN_WORKFLOW_TYPE,
  RUNNER_TASK_QUEUE,
  VAULT_TASK_QUEUE,
  type MissionRunInput,
} from '#temporal/messages.ts';
import { waitUntil } from './wait-until.ts';
import { workflowBundlePath } from './workflow-bundle.ts';

export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
const random = (): number => 0.5;

/** What the activities of one mission do; a run that needs none of them is a fault of the test. */
export interface Fakes {
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

export interface Recorded extends Fakes {
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

export const ready = (more: Partial<LoadedRun> = {}): LoadedRun => ({
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
export const sealed = (more: Partial<SealResult> = {}): SealResult => ({
  ...{ problem: null, sealed: 1, failed: 0, scopeViolations: 0, ownFieldsReadable: true },
  ...more,
});
export const round = (status: PlanRoundResult['status'], steps = 1): PlanRoundResult => ({
  status,
  steps,
  totalTokens: 10,
});
const written = ({ result }: WriteIterationInput): WriteIterationResult =>
  result.kind === 'failed'
    ? { outcome: 'failed', steps: 0, failureCode: result.failure.code }
    : { outcome: result.kind === 'planned' ? 'planned' : 'advanced', steps: 1, failureCode: null };

/** What the worker logged. */
export const lines: string[] = [];
/** The line that the log has of a run's end. */
export const endLineOf = (missionId: string): Promise<unknown> =>
  waitUntil('its end is logged', () => {
    const line = lines.find((each) => each.includes(missionId) && each.includes('"msg":"run ended"'));
    return line === undefined ? null : (JSON.parse(line) as unknown);
  });
/** By workflow, of those whose span was made: whether it says that something went wrong. */
export const tracedEnds = new Map<string, boolean>();
/** How many seconds were observed in how many cases, by one metric. */
export async function observed(name: string): Promise<{ readonly count: number; readonly sum: number }> {
  const values = (await registry.getSingleMetric(name)?.get())?.values as
    readonly { readonly metricName?: string; readonly value: number }[] | undefined;
  const total = (suffix: string): number =>
    (values ?? [])
      .filter(({ metricName }) => metricName === `${name}_${suffix}`)
      .reduce((sum, { value }) => sum + value, 0);
  return { count: total('count'), sum: total('sum') };
}

/** With a server that skips time while nothing is done. */
export let environment: TestWorkflowEnvironment;
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

/** Starts the server and the workers of both queues. Call `stopRuns` at the end. */
export async function startRuns(): Promise<void> {
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
}
export const stopRuns = (): Promise<void> => stop();

export type MissionRun = (input: MissionRunInput) => Promise<MissionRunResult>;

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

export async function start(fakes: Fakes) {
  const { missionId, recorded } = newMission(fakes);
  const handle = await environment.client.workflow.start<MissionRun>(MISSION_RUN_WORKFLOW_TYPE, {
    workflowId: missionId,
    taskQueue: RUNNER_TASK_QUEUE,
    args: [{ userId: 'u', missionId, trigger: 'projection' }],
  });
  return { handle, recorded };
}

/** Runs to the end, skipping time. */
export async function run(fakes: Fakes) {
  const { handle, recorded } = await start(fakes);
  return { result: await handle.result(), ...recorded, runId: handle.firstExecutionRunId };
}

export const unavailable = (retryAfterMs: number | null = null) =>
  new GatewayUnavailableError({ kind: null, status: 503, retryAfterMs });
export const throwing = (error: Error) => () => Promise.reject<PlanRoundResult>(error);
export const GRANTED = { loadRun: () => ready({ grant: 'usable', ownFieldsEncrypted: true }) };
