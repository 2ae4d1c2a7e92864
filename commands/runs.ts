/** `bin/yarn missions runs`: open and recent runs of all users, with outcome and failure code. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { loadTemporalCommandConfig } from '#config/temporal-command.ts';
import { FAILURE_CODES, type FailureCode } from '#domain/wire/iteration.ts';
import { RUN_OUTCOMES, STUCK, type RunEnd } from '#domain/run/run.ts';
import { listAllRuns, type RunOfUser } from '#runs/all-runs.ts';
import { connectClient } from '#temporal/connection.ts';
import { createDataConverter } from '#temporal/data-converter.ts';
import { print } from './verb.ts';

interface RunsOptions {
  readonly user?: string;
  readonly mission?: string;
  readonly outcome?: RunEnd;
  readonly code?: FailureCode;
  readonly open?: true;
  readonly limit: number;
}

async function listRuns(options: RunsOptions, verb: Command): Promise<void> {
  const { temporal, codecKeys } = loadTemporalCommandConfig(process.env);
  const connected = await connectClient(temporal, createDataConverter(codecKeys));
  try {
    const filter = {
      userId: options.user ?? null,
      missionId: options.mission ?? null,
      outcome: options.outcome ?? (options.code === undefined ? null : 'failed'),
      isOpen: options.open === true,
    };
    const runs = await listAllRuns(connected.clients, filter, options.limit, options.code ?? null);
    for (const run of runs) print(verb, shown(run), lineOf(run));
    if (runs.length === 0) print(verb, { runs: 0 }, 'no run is like that');
  } finally {
    await connected.close();
  }
}

function shown(run: RunOfUser) {
  const { runId, workflowId, userId, missionId, trigger, state, startedAt, finishedAt, result } = run;
  return {
    ...{
      startedAt: startedAt.toISOString(),
      finishedAt: finishedAt?.toISOString() ?? null,
      userId,
      missionId,
    },
    ...{ runId, workflowId, trigger, state, outcome: result?.outcome ?? run.outcome },
    ...{ failureCode: result?.failureCode ?? null, rounds: result?.rounds ?? null },
    ...{ steps: result?.steps ?? null, totalTokens: result?.totalTokens ?? null },
  };
}

function lineOf(run: RunOfUser): string {
  const { startedAt, userId, missionId, runId, trigger, state, outcome, failureCode, totalTokens } =
    shown(run);
  const end = failureCode === null ? (outcome ?? state) : `${outcome ?? state} (${failureCode})`;
  const tokens = totalTokens === null ? '' : `, tokens ${totalTokens}`;
  return `${startedAt}  ${end}, by ${trigger ?? 'nobody knows whom'}${tokens}  user ${userId} mission ${missionId} run ${runId}`;
}

const MOST_RUNS = 1_000;
function limitOf(text: string): number {
  const limit = Number(text);
  if (!Number.isInteger(limit) || limit < 1 || limit > MOST_RUNS) {
    throw new InvalidArgumentError(`expected a whole number from 1 to ${MOST_RUNS}`);
  }
  return limit;
}

const HELP = `
Open runs come first, then those that ended last. A run whose mission failed for its user has state completed and outcome failed; the code says why
(docs/operations.md). With --code the last 2,000 failed runs are looked at.

Examples:
  bin/yarn missions runs --open
  bin/yarn missions runs --outcome stuck
  bin/yarn missions runs --user 6f0c… --mission 0b7e… --limit 5
  bin/yarn missions runs --code gateway-unavailable --json

Environment: TEMPORAL_*, TEMPORAL_CODEC_KEYS`;

export const addRuns = (program: Command): void => {
  program
    .command('runs')
    .description('open and recent runs of all users')
    .option('--user <id>', 'of this user alone')
    .option('--mission <id>', 'of this mission alone')
    .addOption(new Option('--outcome <outcome>', 'that ended like this').choices([...RUN_OUTCOMES, STUCK]))
    .addOption(new Option('--code <code>', 'that failed for this reason').choices([...FAILURE_CODES]))
    .option('--open', 'that have not ended')
    .option('--limit <n>', 'how many', limitOf, 20)
    .addHelpText('after', HELP)
    .action((options: RunsOptions, verb: Command) => listRuns(options, verb));
};
