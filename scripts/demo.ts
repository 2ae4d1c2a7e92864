/**
 * `bin/demo`: the whole slice on this machine. The last line on stdout is one JSON object whose figures were counted in
 * the database, in the gateway's log and on the Temporal server.
 */
import { once } from 'node:events';
import { commandLine, wholeNumber } from '#dev/command-line.ts';
import { auditRows, countFigures, gatewayRequests, iterationsOf } from '#dev/demo/figures.ts';
import { findDemoLeaks } from '#dev/demo/leaks.ts';
import { createDemoMissions, type DemoData } from '#dev/demo/missions.ts';
import { cancelWhereWanted, createTourMissions, printTour } from '#dev/demo/tour.ts';
import { watchMissions } from '#dev/demo/watch.ts';
import { askForOneWord, outsideGatewayOf, type OutsideGateway } from '#dev/outside-gateway.ts';
import { startStack, type Stack } from '#dev/stack.ts';
import type { PlanStep } from '#domain/wire/iteration.ts';

/** A real model may have to be loaded, and thinks. */
const OUTSIDE_DEADLINE_MS = 900_000;

const startedMs = Date.now();
const seconds = (): number => Math.round((Date.now() - startedMs) / 100) / 10;
const say = (line: string): void => console.log(`${seconds().toFixed(1).padStart(6)} s  ${line}`);

const { keep, tour, ports } = readArguments();
const interrupted = new AbortController();
let stack: Stack | null = null;
let gateway: OutsideGateway | null = null;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => void interrupt(signal));

try {
  say('starting');
  gateway = outsideGatewayOf(process.env);
  if (gateway !== null) await tryGateway(gateway);
  stack = await startStack({ ports, say, tour, ...(gateway !== null && { gateway }) });
  say(`ready: API ${stack.apiUrl}, Temporal ${stack.temporal.address}`);
  const report = tour ? await runTour(stack) : await runDemo(stack);
  if (keep) await keepRunning(stack);
  await stack.stop();
  console.log(JSON.stringify(report));
  process.exit(report.ok ? 0 : 1);
} catch (error) {
  await stack?.stop();
  if (interrupted.signal.aborted) process.exit(130);
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}

/** `bin/demo` answers `--help` itself, before anything is installed. */
function readArguments() {
  const port = wholeNumber(1, 65_535);
  const {
    keep = false,
    tour = false,
    apiPort,
    temporalPort,
    uiPort,
    postgresPort,
  } = commandLine('bin/demo', 'The whole service on this machine: three missions, from due to written.')
    .option('--tour', 'twelve varied missions instead of three, with their claims and plans')
    .option('--keep', 'keep everything running after the demo, until Ctrl-C')
    .option('--api-port <n>', 'a free one by default, as of the others', port)
    .option('--temporal-port <n>', '', port)
    .option('--ui-port <n>', '', port)
    .option('--postgres-port <n>', '', port)
    .parse()
    .opts<
      { keep?: boolean; tour?: boolean } & Partial<
        Record<'apiPort' | 'temporalPort' | 'uiPort' | 'postgresPort', number>
      >
    >();
  return {
    ...{ keep, tour },
    ports: {
      ...(apiPort !== undefined && { api: apiPort }),
      ...(temporalPort !== undefined && { temporal: temporalPort }),
      ...(uiPort !== undefined && { ui: uiPort }),
      ...(postgresPort !== undefined && { postgres: postgresPort }),
    },
  };
}

/** Before anything is started: a wrong address or key should not cost half a minute. */
async function tryGateway(outside: OutsideGateway): Promise<void> {
  if (tour) throw new Error('--tour tells what scripted models do; unset MANA_LLM_URL, or leave --tour out');
  say(`asking ${new URL(outside.url).origin} for a word of ${outside.model}`);
  say(`${await askForOneWord(outside)} answers, and plans this demo's missions`);
}

async function runDemo(running: Stack) {
  const data = await createDemoMissions(running, say);
  await watchMissions(running, data, say, undefined, gateway === null ? undefined : OUTSIDE_DEADLINE_MS);
  const figures = await countFigures(running, data);
  await printIterations(running, data);
  await printAudit(running);
  const leaks = await findDemoLeaks(running, [
    ...data.plaintexts,
    ...running.secrets,
    data.user.masterKey.toString('base64'),
  ]);
  for (const leak of leaks) say(`LEAK: ${leak.found.length} texts in ${leak.where}`);
  const requests = gatewayRequests(running);
  const strayed = data.ungranted.filter((text) => requests.some((request) => request.includes(text)));
  if (strayed.length > 0) say(`LEAK: ${strayed.length} texts that nobody granted reached the gateway`);
  const leakCount = leaks.reduce((sum, leak) => sum + leak.found.length, strayed.length);
  const { runs, ...counted } = figures;
  say(`${runs} runs closed; ${counted.llmCalls} gateway calls; ${leakCount} leaks found`);
  if (running.temporal.uiUrl !== null) {
    say(`Temporal UI: ${running.temporal.uiUrl}/namespaces/default/workflows${keep ? '' : ' (with --keep)'}`);
  }
  const ok =
    counted.missions === 3 &&
    counted.iterations === 3 &&
    // The one without a grant; how well a model of somebody else's plans the others is shown, not judged: `bin/yarn eval`.
    (gateway === null ? counted.failedIterations === 1 : counted.failedIterations >= 1) &&
    runs >= 3 &&
    counted.auditRows > 0 &&
    counted.llmCalls > 0 &&
    leakCount === 0;
  return {
    ...{ ok, ...counted, leaks: leakCount, seconds: seconds() },
    ...(gateway !== null && { model: gateway.model }),
  };
}

/** Twelve missions at once; nothing is counted as done that is not in the change log. */
async function runTour(running: Stack) {
  const data = await createTourMissions(running, say);
  await watchMissions(running, data, say, (mission, iteration) =>
    cancelWhereWanted(running, data, mission, iteration, say),
  );
  const report = await printTour(running, data);
  const llmCalls = gatewayRequests(running).length;
  say(`${report.iterations} iterations, ${report.steps} proposed steps, ${llmCalls} gateway calls`);
  const ok =
    report.missions === 12 &&
    report.iterations === 12 &&
    // One has no budget, one is cancelled.
    report.failedIterations === 2 &&
    report.stagedSteps > 0 &&
    report.claimedRuns === 12 &&
    report.partialPlans === 1 &&
    report.cancelledRuns === 1;
  return { ok, ...report, llmCalls, seconds: seconds() };
}

async function printIterations(running: Stack, data: DemoData): Promise<void> {
  for (const { label, missionId } of data.missions) {
    for (const iteration of await iterationsOf(running, data, missionId)) {
      console.log(`\nMission "${label}": ${String(iteration['overallStatus'])}`);
      console.log(`  ${String(iteration['summary'])}`);
      const plan = Array.isArray(iteration['plan']) ? (iteration['plan'] as PlanStep[]) : [];
      for (const step of plan)
        console.log(`  - ${step.intent.toolName} ${JSON.stringify(step.intent.params)}`);
    }
  }
}

async function printAudit(running: Stack): Promise<void> {
  console.log('\nDecrypt audit (mana_ai.decrypt_audit):');
  for (const row of await auditRows(running))
    console.log(`  ${row.status}  ${row.table_name}:${row.record_id}`);
  console.log('');
}

/** Until Ctrl-C; then everything ends as without `--keep`. */
async function keepRunning(running: Stack): Promise<void> {
  say(`to see what payloads hold, log in at ${running.apiUrl}/codec/login with the operator token`);
  console.log(`\n    ${running.operatorToken}\n`);
  say('and in the Temporal UI (codec server settings, the glasses) take the browser’s settings, endpoint');
  say(`${running.apiUrl}/codec, with "Include cross-origin credentials"; see docs/operations.md`);
  say(`kept running; logs in ${running.directory}; Ctrl-C ends everything`);
  if (!interrupted.signal.aborted) await once(interrupted.signal, 'abort');
}

/** The first signal ends what was started; while it is being started, or at a second one, the guardian does. */
async function interrupt(signal: NodeJS.Signals): Promise<void> {
  if (interrupted.signal.aborted) process.exit(130);
  interrupted.abort();
  if (stack !== null && keep) return;
  say(`${signal}: stopping`);
  await stack?.stop();
  process.exit(130);
}
