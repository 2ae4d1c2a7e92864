import { ConfigurationError, loadConfig, type Config } from '#config.ts';
import { openDatabase, type Database, type DatabaseLimits } from '#db/client.ts';
import { startLiveness } from '#health/liveness.ts';
import { VERSION } from '#health/answer.ts';
import { createLogger, endOnUncaughtErrors } from '#logging/logger.ts';
import { observePoolWait, watchPool, type DatabaseName } from '#metrics/database.ts';
import { collectProcessMetrics } from '#metrics/registry.ts';
import { countUndecodable } from '#metrics/payloads.ts';
import { openClient } from '#temporal/connection.ts';
import { traceStatements } from '#tracing/sql.ts';
import { startTracing } from '#tracing/start.ts';
import { tracedStarts } from '#tracing/traced-starts.ts';
import { createDataConverter } from '#temporal/data-converter.ts';
import { buildApp } from './app.ts';
import { createApiReadiness } from './routes/health.ts';

const APPLICATION_NAME = 'mana-missions-api';
/** Somebody waits for the answer: a frozen database is given up before the request is. */
const DATABASE_LIMITS: DatabaseLimits = { connectMs: 5_000, statementMs: 8_000 };
/** Longer than any request may take. */
const DRAIN_TIMEOUT_MS = 40_000;
const CLOSE_IDLE_EVERY_MS = 100;

endOnUncaughtErrors(createLogger('api', 'info'));
const config = configOrExit();
const logger = createLogger('api', config.logLevel);
for (const notice of config.notices) logger.warn(notice);
try {
  await start();
} catch (error) {
  logger.fatal({ err: error }, 'the API cannot start');
  process.exit(1);
}

function configOrExit(): Config<'api'> {
  try {
    return loadConfig('api');
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  }
}

async function start(): Promise<void> {
  collectProcessMetrics();
  const stopTracing = await startTracing(
    config.tracesEndpoint,
    { name: APPLICATION_NAME, version: VERSION },
    logger,
  );
  const { api } = config;
  const open = (name: DatabaseName, database: Config<'api'>['api']['syncDatabase']): Database =>
    watchPool(
      name,
      openDatabase({
        ...{ ...database, applicationName: APPLICATION_NAME, limits: DATABASE_LIMITS },
        onConnection: observePoolWait(name),
        around: traceStatements(name),
      }),
    );
  const syncDatabase = open('sync', api.syncDatabase);
  const authDatabase = open('auth', api.authDatabase);
  // Connected by the first request that needs it: grants and audit work while Temporal is down.
  const dataConverter = createDataConverter(config.codecKeys, {
    // Counted alone: users look at runs of long ago, and the API serves them all the same.
    onUndecodable: ({ reason }) => countUndecodable('api', reason),
  });
  const temporal = openClient(config.temporal, dataConverter, [tracedStarts]);
  const codecEndpoint = api.codecEndpoint && { ...api.codecEndpoint, codecKeys: config.codecKeys };
  const app = await buildApp({
    ...api,
    codecEndpoint,
    codecKeys: config.codecKeys,
    syncDatabase,
    authDatabase,
    temporalClient: temporal.clients,
    logger,
  });
  const liveness = await startLiveness({
    host: config.host,
    port: api.healthPort,
    processName: 'api',
    logLevel: config.logLevel,
    logger,
    readiness: createApiReadiness({ syncDatabase, authDatabase }),
  });
  logger.info({ healthPort: liveness.port }, 'liveness is served');
  stopOnSignals(async () => {
    // `close` ends connections that are idle now; those of requests under way would be kept alive for a minute.
    const closing = setInterval(() => app.server.closeIdleConnections(), CLOSE_IDLE_EVERY_MS);
    await app.close();
    clearInterval(closing);
    await Promise.all([syncDatabase.close(), authDatabase.close(), temporal.close()]);
    await liveness.close();
    await stopTracing();
  });
  if (api.grantPublicKey === null) logger.warn('MANA_AI_PUBLIC_KEY_PEM is not set: grants are off');
  if (api.keks.default === null && api.keks.byId.size === 0) {
    logger.warn('neither MANA_AUTH_KEK nor MANA_AUTH_KEKS is set: grants are off');
  }
  if (api.codecEndpoint === null) {
    logger.warn('OPERATOR_TOKEN_SHA256 is not set: there is no codec endpoint for the Temporal UI and CLI');
  } else if (api.codecEndpoint.corsOrigin === null) {
    logger.warn('CODEC_CORS_ORIGIN is not set: only the Temporal CLI can use the codec endpoint, not the UI');
  }
  await app.listen({ host: config.host, port: api.port });
}

/** The first signal lets requests under way finish and ends with 0; the second ends at once. */
function stopOnSignals(close: () => Promise<void>): void {
  let isStopping = false;
  const stop = (signal: NodeJS.Signals): void => {
    if (isStopping) process.exit(1);
    isStopping = true;
    logger.info({ signal }, 'stopping');
    setTimeout(() => process.exit(1), DRAIN_TIMEOUT_MS).unref();
    close().then(
      () => process.exit(0),
      (error: unknown) => {
        logger.error({ err: error }, 'stopping failed');
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}
