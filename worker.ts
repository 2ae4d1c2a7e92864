import { Client } from '@temporalio/client';
import { makeTelemetryFilterString } from '@temporalio/worker';
import { ConfigurationError, loadConfig, type Config } from './config.ts';
import { onWorkChanged, workSinceLastLook } from './activities/work-under-way.ts';
import { startLiveness } from './health/liveness.ts';
import { createReadiness, type Check } from './health/readiness.ts';
import { createLogger, endOnUncaughtErrors } from '#logging/logger.ts';
import { collectProcessMetrics } from './metrics/registry.ts';
import { createDataConverter } from './temporal/data-converter.ts';
import { createNamespaceClients } from './temporal/namespaces.ts';
import { startTracing } from './tracing/start.ts';
import { VERSION } from '#health/answer.ts';
import { connectWorker } from './temporal/worker-connection.ts';
import { watchCodecKeys } from './worker/codec-key-watch.ts';
import { failureOf } from './worker/failed-worker.ts';
import type { WorkerContext, WorkerPart } from './worker/part.ts';
import { createTemporalLogger } from './worker/temporal-logger.ts';
import { installRuntime } from './worker/temporal-metrics.ts';

const WORKER_ROLES = ['runner', 'vault', 'projection', 'all'] as const;
type WorkerRole = (typeof WORKER_ROLES)[number];

// What fails before the configuration is known fails by way of the log, too.
endOnUncaughtErrors(createLogger('worker', 'info'));
const config = configOrExit(process.argv[2]);
const logger = createLogger(config.role, config.logLevel);
for (const notice of config.notices) logger.warn(notice);
try {
  await run();
  process.exit(0);
} catch (error) {
  logger.fatal({ err: error }, 'the worker ended');
  process.exit(1);
}

function configOrExit(text: string | undefined): Config<WorkerRole> {
  const role = WORKER_ROLES.find((known) => known === text);
  if (role === undefined)
    exit(`worker role: found ${text ?? 'none'}, expected one of ${WORKER_ROLES.join(', ')}`);
  try {
    return loadConfig(role);
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return exit(error.message);
  }
}

function exit(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

async function run(): Promise<void> {
  // Signals are ours: the SDK's own handling would end the process before the databases are closed.
  await installRuntime({
    logger: createTemporalLogger(logger),
    // The SDK's core would write to stderr itself, with task tokens.
    telemetryOptions: { logging: { filter: makeTelemetryFilterString({ core: 'WARN' }), forward: {} } },
    shutdownSignals: [],
  });
  collectProcessMetrics();
  const stopTracing = await startTracing(
    config.tracesEndpoint,
    { name: `mana-missions-${config.role}`, version: VERSION },
    logger,
  );
  const connection = await connectWorker(config.temporal);
  const { namespace } = config.temporal;
  const { codecKeys, workflowBundlePath, buildId } = config;
  const { onUndecodable, check: codecKeysCheck } = watchCodecKeys();
  const ofClients = createDataConverter(codecKeys, { onUndecodable });
  const clientOf = (name: string): Client =>
    new Client({ connection, namespace: name, dataConverter: ofClients });
  const dataConverter = createDataConverter(codecKeys, {
    refusePlaintext: !config.acceptPlaintextPayloads,
    onUndecodable,
  });
  if (config.acceptPlaintextPayloads) {
    logger.warn('TEMPORAL_CODEC_ACCEPT_PLAINTEXT is on: whoever reaches the Temporal server can start runs');
  }
  const parts = await createParts({
    ...{
      connection,
      client: clientOf(namespace),
      clients: createNamespaceClients(config.temporal, clientOf),
    },
    ...{ namespace, codecKeys, dataConverter, workflowBundlePath, buildId, logger },
  });
  const liveness = await startLiveness({
    host: config.host,
    port: config.healthPort,
    processName: config.role,
    logLevel: config.logLevel,
    logger,
    readiness: createReadiness({ ...checksOf(parts), codecKeys: codecKeysCheck }),
    workUnderWay: workSinceLastLook,
    onWorkChanged,
  });
  stopOnSignals(parts);
  // One that the SDK declares failed ends the process, whatever the others do: nobody would poll in its place.
  const running = Promise.all([...parts.map((part) => part.worker.run()), announce(parts, liveness.port)]);
  await Promise.race([running, failureOf(parts)]);
  await Promise.all(parts.map((part) => part.close()));
  await connection.close();
  await liveness.close();
  await stopTracing();
}

/** By the name of the part, where a process has several. */
function checksOf(parts: readonly WorkerPart[]): Record<string, Check> {
  const checks = parts.flatMap((part) =>
    Object.entries(part.checks).map(([name, check]): [string, Check] => [
      parts.length > 1 ? `${part.name}.${name}` : name,
      check,
    ]),
  );
  return Object.fromEntries(checks);
}

/** Each part is loaded only where it runs: a process holds no more than its own zone's code and secrets. */
async function createParts(context: WorkerContext): Promise<WorkerPart[]> {
  const parts: WorkerPart[] = [];
  if ('runner' in config) {
    const { createRunnerPart } = await import('./worker/runner.ts');
    parts.push(await createRunnerPart(context, config.runner));
  }
  if ('vault' in config) {
    const { createVaultPart } = await import('./worker/vault.ts');
    parts.push(await createVaultPart(context, config.vault));
  }
  if ('projection' in config) {
    const { createProjectionPart } = await import('./worker/projection.ts');
    parts.push(await createProjectionPart(context, config.projection));
  }
  return parts;
}

async function announce(parts: readonly WorkerPart[], healthPort: number): Promise<void> {
  for (const part of parts) await part.onceRunning();
  logger.info({ healthPort, parts: parts.map((part) => part.name).join(',') }, 'worker started');
}

/** The first signal drains: no new tasks, those under way get their grace; the second ends at once. */
function stopOnSignals(parts: readonly WorkerPart[]): void {
  let isStopping = false;
  const stop = (signal: NodeJS.Signals): void => {
    if (isStopping) process.exit(1);
    isStopping = true;
    logger.info({ signal }, 'stopping');
    // One that does not run yet, or has failed, cannot be drained: then there is nothing to wait for.
    const running = parts.filter((part) => part.worker.getState() === 'RUNNING');
    for (const part of running) part.worker.shutdown();
    if (running.length === 0) process.exit(0);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}
