import { closeRun, NOTE_BYTES, NOTES, beginRun, runnerDeps, writeMission } from './opened-mission.ts';
import { measure, timingTable, type Variant } from '#bench/measure.ts';
import type { Table } from '#bench/results/result.ts';
import type { BenchMission, BenchSystem } from '#bench/system.ts';
import { planOneRound } from '#activities/runner/round/one-round.ts';
import type { PlannerReply } from '#domain/planner/model/planner-reply.ts';
import type { PlanRoundInput } from '#domain/run/run.ts';
import { modelGateway } from '#dev/scripted-model.ts';
import { replyWithToolCalls, startScriptedGateway } from '#dev/scripted-gateway.ts';
import { createGateway, type Gateway } from '#llm/gateway.ts';

const SERVICE_KEY = 'bench-service-key';
const BARE = 'bare exchange: the client and a local server';
const NEVER = new AbortController().signal;

let calls = 0;
/** Another task each time: a model that repeats itself is not asked again. */
const nextCall = () => ({
  name: 'create_task',
  arguments: { title: `Pack the tent ${(calls += 1)}`, priority: 'high' },
});

const nextReply = (): PlannerReply => ({
  ...{ content: null, toolCalls: [{ id: 'call_1', ...nextCall() }], finishReason: 'tool_calls' },
  ...{ totalTokens: 120, promptTokens: 100, completionTokens: 20, resolvedModel: 'bench/planner' },
});

/** What a round costs besides the model: opening, prompt, plan and keeping it; then with the client and HTTP. */
export async function benchOverhead(
  system: BenchSystem,
  sizes: { readonly samples: number; readonly warmUps: number },
): Promise<Table> {
  const server = await startScriptedGateway({
    serviceKey: SERVICE_KEY,
    script: () => replyWithToolCalls([nextCall()]),
  });
  try {
    let sent: string | null = null;
    const instant = modelGateway(({ bodyText }) => {
      sent = bodyText;
      return nextReply();
    });
    const http = createGateway({ baseUrl: server.url, serviceKey: SERVICE_KEY });
    const missions = missionsOf(system);
    const bare: Variant = {
      name: BARE,
      run: () => http.complete(sent ?? noRequest(), { signal: NEVER, idempotencyKey: 'bench' }),
    };
    const variants = [
      roundOf(system, missions, { name: 'first round, instant gateway', gateway: instant, round: 1 }),
      roundOf(system, missions, { name: 'second round, instant gateway', gateway: instant, round: 2 }),
      roundOf(system, missions, { name: 'first round, over HTTP', gateway: http, round: 1 }),
      bare,
    ];
    const timings = await measure(variants, sizes);
    return timingTable(
      `A round of an encrypted mission with ${NOTES} notes of ${NOTE_BYTES} bytes`,
      timings,
      [BARE],
    );
  } finally {
    await server.close();
  }
}

const noRequest = (): never => {
  throw new Error('no round was asked before');
};

/** A mission for so many runs: with hundreds its earlier iterations would be measured. */
const RUNS_OF_A_MISSION = 10;

/** @returns gives the mission of the next run */
function missionsOf(system: BenchSystem): () => Promise<BenchMission> {
  let mission: BenchMission | null = null;
  let runs = 0;
  return async () => {
    if (mission === null || runs % RUNS_OF_A_MISSION === 0) mission = await writeMission(system);
    runs += 1;
    return mission;
  };
}

/** Each sample is the round of a run of its own. */
function roundOf(
  system: BenchSystem,
  nextMission: () => Promise<BenchMission>,
  { name, gateway, round }: { readonly name: string; readonly gateway: Gateway; readonly round: 1 | 2 },
): Variant {
  const deps = runnerDeps(system, gateway);
  let run: PlanRoundInput | null = null;
  const plan = async (): Promise<void> => {
    if (run === null) throw new Error('no run was opened');
    const { status } = await planOneRound(deps, run, NEVER);
    if (status !== 'continue') throw new Error(`round: found ${status}, expected continue`);
  };
  return {
    name,
    prepare: async () => {
      run = await beginRun(deps, system, await nextMission());
      if (round === 1) return;
      await plan();
      run = { ...run, round };
    },
    run: plan,
    cleanUp: async () => {
      if (run !== null) await closeRun(deps, run);
    },
  };
}
