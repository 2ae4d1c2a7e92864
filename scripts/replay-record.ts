import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Argument } from 'commander';
import { commandLine, someOf } from '#dev/command-line.ts';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { demoResearch } from '#dev/scripted-research.ts';
import { HISTORIES_DIRECTORY } from '#test/replay/histories.ts';
import { claimedRuns } from '#test/replay/recording/claimed-runs.ts';
import { contendedRuns } from '#test/replay/recording/contended-runs.ts';
import { finishedRuns } from '#test/replay/recording/finished-runs.ts';
import { givenUpRuns } from '#test/replay/recording/given-up-runs.ts';
import { projection } from '#test/replay/recording/projection.ts';
import { research } from '#test/replay/recording/research.ts';
import type { Scenario } from '#test/replay/recording/scenario.ts';
import { scrubbedJson } from '#test/replay/recording/scrub.ts';
import { startRecordingSystem, type RecordingSystem } from '#test/replay/recording/system.ts';
import { replyOfTwoRounds } from '#test/support/planner-scripts.ts';

/**
 * `yarn replay:record [name …] [--force name …]`: records the histories that test/replay replays, by running the real
 * system with made-up data. A history pins what running executions may look like, so a file that exists is kept: record
 * a new path under a new name. `--force` is for a workflow that was never released.
 */
const scenarios = [
  ...finishedRuns,
  ...contendedRuns,
  ...claimedRuns,
  ...givenUpRuns,
  ...projection,
  ...research,
];

const names = scenarios.map(({ name }) => name);
const command = commandLine('bin/yarn replay:record', 'Records histories that are not there yet.')
  .addArgument(new Argument('[name...]', 'all of them by default').choices(names))
  .option('--force <names>', 'record these anew, with commas between them', someOf(names), [])
  .parse();
const positionals = command.args;
const values = command.opts<{ force: readonly string[] }>();

const fileOf = ({ name }: Scenario): string => join(HISTORIES_DIRECTORY, `${name}.json`);
const wanted = scenarios.filter(
  ({ name }) =>
    positionals.length + values.force.length === 0 ||
    positionals.includes(name) ||
    values.force.includes(name),
);
const missing = wanted.filter(
  (scenario) => values.force.includes(scenario.name) || !existsSync(fileOf(scenario)),
);
for (const { name } of wanted.filter((scenario) => !missing.includes(scenario)))
  console.log(`${name}: exists, kept`);
if (missing.length === 0) process.exit(0);

Runtime.install({ logger: new DefaultLogger('WARN') });
mkdirSync(HISTORIES_DIRECTORY, { recursive: true });
const system = await startRecordingSystem();
try {
  for (const scenario of missing) await record(system, scenario);
} finally {
  await system.close();
}

async function record(system: RecordingSystem, scenario: Scenario): Promise<void> {
  system.answerWith(replyOfTwoRounds);
  system.researchWith(demoResearch());
  const { workflowId, runId } = await scenario.record(system);
  const history = await system.client.workflow.getHandle(workflowId, runId).fetchHistory();
  writeFileSync(fileOf(scenario), await scrubbedJson(history));
  console.log(`${scenario.name}: ${history.events?.length ?? 0} events`);
  // A client that was cut off notices late; the next scenario counts hanging requests from none.
  await system.gateway.waitForHanging(0);
}
