import { toMissionId, toWorkflowRunId } from '#domain/base/ids.ts';
import { randomUUID } from 'node:crypto';
import type { ActivityHarness } from './activity-dependencies.ts';
import { query } from './inspect.ts';
import { forgetRun } from '#activities/runner/forget-run.ts';
import { loadRun } from '#activities/runner/load-run.ts';
import { planOneRound } from '#activities/runner/round/one-round.ts';
import { planRounds, type RoundsContext } from '#activities/runner/round/rounds.ts';
import { prepareRound } from '#activities/runner/round/prepare.ts';
import { ensureRunKey } from '#activities/runner/run-keys.ts';
import { readRounds } from '#activities/runner/transcript.ts';
import { modelGateway, type ModelAnswer, type SentRequest } from '#dev/scripted-model.ts';
import { agentAt, missionAt, taskAt, type WebAppUser } from '#dev/web-app.ts';
import { formatInstant } from '#domain/base/instant.ts';
import type { PlannerReply, PlannerToolCall } from '#domain/planner/model/planner-reply.ts';
import type { PlannerSettings } from '#domain/planner/plan/planner-settings.ts';
import type { StoredRound } from '#domain/planner/plan/stored-round.ts';
import type { LoadedRun, LoadRunInput, PlanRoundResult, RunRef } from '#domain/run/run.ts';

/** A reply; one without calls ends the plan with a word, unless it says why it ends. */
export const reply = (more: Partial<PlannerReply> = {}): PlannerReply => ({
  ...{ toolCalls: [], resolvedModel: 'scripted/planner' },
  ...{ totalTokens: 12, promptTokens: 10, completionTokens: 2 },
  content: more.toolCalls === undefined && more.finishReason === undefined ? 'Nichts zu tun.' : null,
  finishReason: (more.toolCalls ?? []).length === 0 ? 'stop' : 'tool_calls',
  ...more,
});
export const call = (name: string, args: Record<string, unknown>, id = 'c'): PlannerToolCall => ({
  ...{ id, name, arguments: args },
});
export const createTask = (title: string): PlannerToolCall => call('create_task', { title }, title);

type Fields = Readonly<Record<string, unknown>>;
/** Answers a request, or does what else happens while the gateway works. */
export type Answer = (request: SentRequest) => ModelAnswer | Promise<ModelAnswer>;

/** A run that has claimed its mission, and its rounds without Temporal and without a gateway. */
export interface Story {
  readonly user: WebAppUser;
  readonly run: RunRef;
  readonly loaded: LoadedRun;
  /** What the gateway was asked. */
  readonly requests: SentRequest[];
  /** One round, in which the gateway answers so. */
  round(number: number, answer: Answer, planner?: Partial<PlannerSettings>): Promise<PlanRoundResult>;
  /** As many rounds as an attempt of the activity asks, beginning with the first. */
  rounds(
    answer: Answer,
    options?: {
      readonly attempt?: number;
      readonly oneRoundEach?: boolean;
      readonly isStopping?: () => boolean;
      readonly signal?: AbortSignal;
      readonly onRound?: RoundsContext['onRound'];
      readonly onFailure?: (error: unknown) => void;
      readonly retryDelay?: RoundsContext['retryDelay'];
    },
  ): Promise<PlanRoundResult>;
  /** A round whose worker is killed while the gateway works. */
  crashIn(number: number, planner?: Partial<PlannerSettings>): Promise<void>;
  /** The run is gone from Temporal. */
  die(): void;
  forget(): Promise<void>;
  /** What the rounds left behind; of missions without a grant. */
  entries(): Promise<StoredRound[]>;
}

export interface Stories {
  /** A mission in plaintext with tasks as inputs and an agent of its own, claimed by a run. */
  write(tasks?: Readonly<Record<string, Fields>>, agent?: Fields): Promise<Story>;
  /** A mission that names this agent, whether there is one or not; of a new user or of one that exists. */
  writeWithoutAgent(options?: {
    readonly agentId?: string | null;
    readonly user?: WebAppUser;
  }): Promise<Story>;
  /** A further mission of the same user and agent. */
  writeAnother(of: Story): Promise<Story>;
  claim(
    user: WebAppUser,
    missionId: string,
    options: { readonly agentId: string | null; readonly grantUsable: boolean },
  ): Promise<Story>;
  usage(of: Story): Promise<Fields[]>;
}

export const STORY_AGENT = {
  ...{ name: 'Mia', state: 'active', maxConcurrentMissions: 20 },
  policy: { tools: {}, defaultsByModule: { todo: 'auto' }, defaultForAi: 'deny' },
};
export const STORY_MISSION = {
  ...{ title: 'Wochenplan', objective: 'Plane die Woche und schlage Aufgaben vor', conceptMarkdown: '' },
  ...{ state: 'active', cadence: { kind: 'interval', everyMinutes: 30 }, iterations: [] },
  nextRunAt: formatInstant(Date.now() - 60_000),
};

export function storiesOf(harness: ActivityHarness): Stories {
  const writeMission = async (
    user: WebAppUser,
    agentId: string | null,
    taskIds: readonly string[],
    options: { readonly agentId: string | null } = { agentId },
  ): Promise<Story> => {
    const missionId = toMissionId(randomUUID());
    await harness.webApp.insert(user, missionAt(missionId), {
      ...STORY_MISSION,
      agentId,
      inputs: taskIds.map((id) => ({ module: 'todo', table: 'tasks', id })),
    });
    return claim(harness, user, missionId, { ...options, grantUsable: false });
  };
  return {
    write: async (tasks = {}, agent = {}) => {
      const user = await harness.webApp.createUser();
      const agentId = randomUUID();
      await harness.webApp.insert(user, agentAt(agentId), { ...STORY_AGENT, ...agent });
      for (const [id, fields] of Object.entries(tasks)) await harness.webApp.insert(user, taskAt(id), fields);
      return writeMission(user, agentId, Object.keys(tasks));
    },
    writeWithoutAgent: async ({ agentId = null, user } = {}) =>
      writeMission(user ?? (await harness.webApp.createUser()), agentId, [], { agentId: null }),
    writeAnother: ({ user, loaded }) => writeMission(user, loaded.agentId ?? '', []),
    claim: (user, missionId, options) => claim(harness, user, missionId, options),
    usage: ({ run }) =>
      query(
        harness.databases.superuser.syncUrl,
        `select round, purpose, total_tokens::float8 as tokens from mana_ai.token_usage
          where iteration_id = $1 order by round, purpose`,
        [run.iterationId],
      ),
  };
}

async function claim(
  { runner }: ActivityHarness,
  user: WebAppUser,
  missionId: string,
  options: { readonly agentId: string | null; readonly grantUsable: boolean },
): Promise<Story> {
  const { userId } = user;
  const runId = toWorkflowRunId(randomUUID());
  const input: LoadRunInput = {
    ...{
      userId,
      missionId: toMissionId(missionId),
      trigger: 'projection',
      workflowId: `w-${missionId}`,
      runId,
    },
    ...{ startedAtMs: Date.now(), scheduledAtMs: null },
  };
  runner.openRuns.add(runId);
  const loaded = await loadRun(runner, input);
  if (loaded.outcome !== 'ready') throw new Error(loaded.outcome);
  const run = { userId, missionId: toMissionId(missionId), iterationId: loaded.iterationId, runId };
  const requests: SentRequest[] = [];
  const { signal } = new AbortController();
  const answeredBy = (answer: Answer, planner: Partial<PlannerSettings> = {}) => {
    const gateway = modelGateway((request) => {
      requests.push(request);
      return answer(request);
    });
    return { ...runner, gateway, planner: { ...runner.planner, ...planner } };
  };
  return {
    ...{ user, run, loaded, requests },
    round: (number, answer, planner) =>
      planOneRound(answeredBy(answer, planner), { ...run, round: number, ...options }, signal),
    rounds: (
      answer,
      {
        attempt = 1,
        signal: given = signal,
        oneRoundEach = false,
        isStopping = () => false,
        onRound = () => undefined,
        onFailure = () => undefined,
        retryDelay = () => 7_000,
      } = {},
    ) =>
      planRounds(
        { ...answeredBy(answer), oneRoundEach, isStopping },
        { ...run, round: 1, lastRound: loaded.maxRounds ?? 1, ...options },
        { signal: given, attempt, onRound, onFailure, retryDelay },
      ),
    crashIn: async (number, planner = {}) => {
      const deps = { ...runner, planner: { ...runner.planner, ...planner } };
      const prepared = await prepareRound(deps, { ...run, round: number, ...options });
      if (prepared.kind !== 'ask') throw new Error(`nothing to ask: ${prepared.kind}`);
    },
    die: () => void runner.openRuns.delete(runId),
    forget: async () => {
      await forgetRun(runner.database, userId, run);
    },
    entries: () =>
      runner.database.asUser(userId, async (tx) =>
        readRounds({ tx, run, key: await ensureRunKey(runner, tx, run) }),
      ),
  };
}
