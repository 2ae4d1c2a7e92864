/**
 * `bin/yarn missions stop-all [--cancel-runs]` and `resume-all`: no mission is planned any more, also none that is written later, until
 * it is resumed. What became due meanwhile is then started once.
 */
import type { Command } from 'commander';
import { setTimeout as delay } from 'node:timers/promises';
import pLimit from 'p-limit';
import { loadMaintenanceConfig } from '#config/maintenance.ts';
import { loadTemporalCommandConfig } from '#config/temporal-command.ts';
import { openDatabase, type Database } from '#db/client.ts';
import { isMaintenanceUser } from '#db/maintenance.ts';
import { resumePlanning, stopPlanning } from '#db/planning-stop.ts';
import { listAllRuns } from '#runs/all-runs.ts';
import { cancelRun } from '#runs/cancel-run.ts';
import { runFreshPass } from '#schedules/system-workflows.ts';
import { connectClient } from '#temporal/connection.ts';
import { createDataConverter } from '#temporal/data-converter.ts';
import type { NamespaceClients } from '#temporal/namespaces.ts';
import { print } from './verb.ts';

const OPEN = { userId: null, missionId: null, outcome: null, isOpen: true };
const MOST_OPEN_RUNS = 1_000;
const CONCURRENCY = 10;
/** A run writes its claim's end and forgets before it has ended; visibility is a moment late on top. */
const ENDED_WITHIN_MS = 120_000;
const LOOK_EVERY_MS = 500;

async function withMaintenance<T>(work: (database: Database) => Promise<T>): Promise<T> {
  const { databaseUrl: url } = loadMaintenanceConfig(process.env);
  const database = openDatabase({
    ...{ url, applicationName: 'mana-missions-stop', maxConnections: 1, preparedStatements: false },
  });
  try {
    if (!(await isMaintenanceUser(database.system))) {
      throw new Error(
        'the user of MAINTENANCE_DATABASE_URL is not a member of mana_missions_maintenance: make it one, or give another',
      );
    }
    return await work(database);
  } finally {
    await database.close();
  }
}

async function withTemporal<T>(work: (clients: NamespaceClients) => Promise<T>): Promise<T> {
  const { temporal, codecKeys } = loadTemporalCommandConfig(process.env);
  const connected = await connectClient(temporal, createDataConverter(codecKeys));
  try {
    return await work(connected.clients);
  } finally {
    await connected.close();
  }
}

async function stopAll(options: { readonly cancelRuns?: true }, verb: Command): Promise<void> {
  const since = await withMaintenance((database) => stopPlanning(database.system));
  const stoppedAt = since.toISOString();
  print(
    verb,
    { stoppedAt },
    `planning is stopped since ${stoppedAt}; go on with: bin/yarn missions resume-all`,
  );
  if (options.cancelRuns !== true) return;
  const { cancelled, open } = await withTemporal(cancelOpenRuns);
  print(verb, { cancelled, open }, `runs cancelled: ${cancelled}, still open: ${open}`);
  if (open > 0) process.exitCode = 1;
}

/** Each is told once, until none is open; those that begin meanwhile end by themselves. */
async function cancelOpenRuns(
  clients: NamespaceClients,
): Promise<{ readonly cancelled: number; readonly open: number }> {
  const told = new Set<string>();
  const deadlineAt = performance.now() + ENDED_WITHIN_MS;
  for (;;) {
    const open = await listAllRuns(clients, OPEN, MOST_OPEN_RUNS);
    if (open.length === 0 || performance.now() > deadlineAt)
      return { cancelled: told.size, open: open.length };
    const news = open.filter(({ runId }) => !told.has(runId));
    await pLimit(CONCURRENCY).map(news, async (run) => {
      if (await cancelRun(clients, run)) told.add(run.runId);
    });
    await delay(LOOK_EVERY_MS);
  }
}

async function resumeAll(verb: Command): Promise<void> {
  const since = await withMaintenance((database) => resumePlanning(database.system));
  const stoppedAt = since?.toISOString() ?? null;
  print(
    verb,
    { stoppedAt },
    stoppedAt === null ? 'planning was not stopped' : `planning goes on; it was stopped since ${stoppedAt}`,
  );
  const { started } = await withTemporal(({ home }) => runFreshPass(home));
  print(
    verb,
    { started },
    `runs started because they were due: ${started}; the rest of a user follows in turns`,
  );
}

const STOP_HELP = `
Runs look at it before they claim an instant, and end as "paused" with nothing written; schedules go on firing and users' missions stay
as they are. Runs that are open go on, unless --cancel-runs cancels them: their iterations then say so, and their missions run at their
next instants. GET /ready, doctor and explain show the stop.

Examples:
  bin/yarn missions stop-all
  bin/yarn missions stop-all --cancel-runs --json

Environment: MAINTENANCE_DATABASE_URL; with --cancel-runs TEMPORAL_*, TEMPORAL_CODEC_KEYS`;

const RESUME_HELP = `
What became due meanwhile is started once, whatever instants it missed: at most ten a user within five seconds, and the gateway is asked
as much as it bears. Without a projection worker nothing starts here; once one runs, it starts what is more than five minutes late.

Example:
  bin/yarn missions resume-all

Environment: MAINTENANCE_DATABASE_URL, TEMPORAL_*, TEMPORAL_CODEC_KEYS`;

export const addStopAll = (program: Command): void => {
  program
    .command('stop-all')
    .description('stops the planning of all missions, of those written later, too')
    .option('--cancel-runs', 'cancel the runs that are open, and wait until they have ended')
    .addHelpText('after', STOP_HELP)
    .action((options: { readonly cancelRuns?: true }, verb: Command) => stopAll(options, verb));
  program
    .command('resume-all')
    .description('lets missions be planned again, and starts what became due meanwhile')
    .addHelpText('after', RESUME_HELP)
    .action((_options: object, verb: Command) => resumeAll(verb));
};
