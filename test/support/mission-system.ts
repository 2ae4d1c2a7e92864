import { createHash, generateKeyPairSync, randomBytes, randomUUID, type KeyObject } from 'node:crypto';
import { Client, type Connection } from '@temporalio/client';
import { Runtime } from '@temporalio/worker';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { inject } from 'vitest';
import { PLANNER_SETTINGS } from './activity-dependencies.ts';
import { createTestDatabases, type TestDatabases } from './databases.ts';
import type { Config } from '#config.ts';
import type { PlannerSettings } from '#domain/planner/plan/planner-settings.ts';
import { workflowBundlePath } from './workflow-bundle.ts';
import { buildApp } from '#api/app.ts';
import { startJwksIssuer, type JwksIssuer } from '#dev/jwks-issuer.ts';
import { startScriptedGateway, type Script, type ScriptedGateway } from '#dev/scripted-gateway.ts';
import { openDatabase, type Database } from '#db/client.ts';
import { openWebApp, type WebApp } from '#dev/web-app.ts';
import { createLogger } from '#logging/logger.ts';
import { connect, type TemporalConfig } from '#temporal/connection.ts';
import { createDataConverter } from '#temporal/data-converter.ts';
import { createNamespaceClients, type NamespaceClients } from '#temporal/namespaces.ts';
import { setUpTemporal } from '#temporal/setup.ts';
import { connectWorker } from '#temporal/worker-connection.ts';
import { traceStatements } from '#tracing/sql.ts';
import { tracedStarts } from '#tracing/traced-starts.ts';
import { createTemporalLogger } from '#worker/temporal-logger.ts';
import { createProjectionPart } from '#worker/projection.ts';
import { createRunnerPart } from '#worker/runner.ts';
import { createVaultPart } from '#worker/vault.ts';
import type { WorkerContext, WorkerPart } from '#worker/part.ts';

export type PartName = 'runner' | 'vault' | 'projection';

/** The whole system of one test file, in one process but with every part's own database user and secrets. */
export interface MissionSystem {
  readonly databases: TestDatabases;
  readonly gateway: ScriptedGateway;
  readonly issuer: JwksIssuer;
  readonly api: FastifyInstance;
  readonly webApp: WebApp;
  readonly client: Client;
  readonly clients: NamespaceClients;
  readonly namespace: string;
  /** JSON lines that any part logged. */
  readonly logLines: readonly string[];
  readonly keys: SystemKeys;
  /** Asks the API for a grant as the web app does; the response's body. */
  requestGrant(userId: string, body: Readonly<Record<string, unknown>>): Promise<Record<string, unknown>>;
  /** Another set of all three workers, of a version or (null) of none; `close` ends it, too. */
  startVersion(buildId: string | null): Promise<StoppableWorkers>;
  close(): Promise<void>;
}

export interface StoppableWorkers {
  /** They take no new work, and end what they have. */
  stop(): Promise<void>;
}

export interface SystemKeys {
  readonly kek: Buffer;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
  readonly codecKeys: { readonly primaryKeyId: string; readonly keys: ReadonlyMap<string, Buffer> };
}

/** What the gateway of every system expects, and its API. */
export const SERVICE_KEY = 'test-service-key';
/** Tests ask more often than users. */
const UNLIMITED_REQUESTS = { perAddress: 1e6, perUser: 1e6, mintsPerUser: 1e6 };
const POOL = { maxConnections: 4, preparedStatements: true };

export interface SystemOptions {
  readonly script: Script;
  /** All three by default; none where they run as processes of their own. */
  readonly parts?: readonly PartName[];
  /** For tests of retries: with the time-skipping server, which knows neither schedules nor namespaces. */
  readonly grantsConfigured?: boolean;
  /** What differs from `PLANNER_SETTINGS`. */
  readonly planner?: Partial<PlannerSettings>;
  /** Off by default. */
  readonly research?: Config<'runner'>['runner']['research'];
  /** Besides the one: users belong to both, each with a runner and a vault worker; or, closed, nobody does and nobody works there. */
  readonly secondNamespace?: 'open' | 'closed';
  /** A Temporal server of the test's own; the shared one by default. */
  readonly temporalAddress?: string;
}

/** Starts it in a namespace and in databases of its own; `close` ends everything and fails on what was left open. */
export async function startMissionSystem(options: SystemOptions): Promise<MissionSystem> {
  const stops: (() => Promise<unknown>)[] = [];
  const databases = await createTestDatabases();
  stops.unshift(() => databases.drop());
  const namespace = `test-${randomUUID()}`;
  const { secondNamespace: second } = options;
  const temporal: TemporalConfig = {
    address: options.temporalAddress ?? inject('temporalAddress'),
    namespace,
    ...(second !== undefined && {
      namespaces: [
        { name: namespace, isOpen: true },
        { name: `${namespace}-2`, isOpen: second === 'open' },
      ],
    }),
  };
  const connection = await connect(temporal);
  stops.unshift(() => connection.close());
  const names = temporal.namespaces?.map(({ name }) => name) ?? [namespace];
  await Promise.all(names.map((name) => setUpTemporal(connection, name)));
  const keys = createKeys();
  const gateway = await startScriptedGateway({ serviceKey: SERVICE_KEY, script: options.script });
  stops.unshift(() => gateway.close());
  const issuer = await startJwksIssuer();
  stops.unshift(() => issuer.close());
  const log = createLog();
  const clients = createNamespaceClients(temporal, (name) => clientOf(connection, name, keys));
  const client = clients.home;
  const api = await startApi(databases, issuer, keys, clients, log.logger, stops);
  const webApp = openWebApp({ ...databases.asWebApp, kek: keys.kek });
  stops.unshift(() => webApp.close());
  const system = { databases, temporal, keys, gateway, log };
  const startStoppable = async (
    given: SystemOptions,
    buildId: string | null,
    ownNamespace = namespace,
  ): Promise<StoppableWorkers> => {
    const end = await startParts(
      given,
      { ...system, temporal: { ...temporal, namespace: ownNamespace } },
      buildId,
    );
    let stopped: Promise<void> | null = null;
    const stop = (): Promise<void> => (stopped ??= end());
    stops.unshift(stop);
    return { stop };
  };
  await Promise.all([
    startStoppable(options, null),
    ...(second === 'open'
      ? [startStoppable({ ...options, parts: ['runner', 'vault'] }, null, `${namespace}-2`)]
      : []),
  ]);
  return {
    databases,
    gateway,
    issuer,
    api,
    webApp,
    client,
    clients,
    namespace: temporal.namespace,
    logLines: log.lines,
    keys,
    requestGrant: async (userId, body) => {
      const token = await issuer.issueToken({ sub: userId });
      const response = await api.inject({
        method: 'POST',
        url: '/api/v1/me/ai-mission-grant',
        headers: { authorization: `Bearer ${token}` },
        payload: body,
      });
      if (response.statusCode !== 200) throw new Error(`grant request: found status ${response.statusCode}`);
      return response.json();
    },
    startVersion: (buildId) => startStoppable({ script: options.script }, buildId),
    close: async () => {
      for (const stop of stops) await stop();
    },
  };
}

function createKeys(): SystemKeys {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const codecKeys = { primaryKeyId: 'test-1', keys: new Map([['test-1', randomBytes(32)]]) };
  return { kek: randomBytes(32), publicKey, privateKey, codecKeys };
}

interface Log {
  readonly lines: readonly string[];
  readonly logger: Logger;
}

function createLog(): Log {
  const lines: string[] = [];
  return { lines, logger: createLogger('test', 'debug', { write: (line: string) => lines.push(line) }) };
}

const clientOf = (connection: Connection, namespace: string, keys: SystemKeys): Client =>
  new Client({
    ...{ connection, namespace, dataConverter: createDataConverter(keys.codecKeys) },
    interceptors: { workflow: [tracedStarts] },
  });

async function startApi(
  databases: TestDatabases,
  issuer: JwksIssuer,
  keys: SystemKeys,
  temporalClient: NamespaceClients,
  logger: Logger,
  stops: (() => Promise<unknown>)[],
): Promise<FastifyInstance> {
  const open = (name: 'sync' | 'auth', url: string): Database =>
    openDatabase({ url, applicationName: 'test-api', ...POOL, around: traceStatements(name) });
  const syncDatabase = open('sync', databases.urls.api.sync);
  const authDatabase = open('auth', databases.urls.api.auth);
  stops.unshift(() => Promise.all([syncDatabase.close(), authDatabase.close()]));
  const app = await buildApp({
    syncDatabase,
    authDatabase,
    temporalClient,
    codecKeys: keys.codecKeys,
    serviceKeySha256: [createHash('sha256').update(SERVICE_KEY).digest()],
    identity: { jwksUrl: `${issuer.url}/api/v1/auth/jwks`, issuer: issuer.url, audience: 'mana' },
    keks: { default: keys.kek, byId: new Map() },
    grantPublicKey: keys.publicKey,
    grantMintVersion: 'v2',
    corsOrigins: [],
    trustedProxies: [],
    rateLimits: UNLIMITED_REQUESTS,
    logger,
  });
  stops.unshift(() => app.close());
  return app;
}

async function startParts(
  options: SystemOptions,
  system: {
    readonly databases: TestDatabases;
    readonly temporal: TemporalConfig;
    readonly keys: SystemKeys;
    readonly gateway: ScriptedGateway;
    readonly log: Log;
  },
  buildId: string | null,
): Promise<() => Promise<void>> {
  const { databases, temporal, keys, gateway, log } = system;
  installRuntime(log.logger);
  const connection = await connectWorker(temporal);
  const client = (namespace: string): Client =>
    new Client({ connection, namespace, dataConverter: createDataConverter(keys.codecKeys) });
  const context: WorkerContext = {
    connection,
    client: client(temporal.namespace),
    clients: createNamespaceClients(temporal, client),
    namespace: temporal.namespace,
    codecKeys: keys.codecKeys,
    dataConverter: createDataConverter(keys.codecKeys, { refusePlaintext: true }),
    workflowBundlePath: await workflowBundlePath(),
    buildId,
    logger: log.logger,
  };
  const names = options.parts ?? ['runner', 'vault', 'projection'];
  const parts: WorkerPart[] = [];
  if (names.includes('runner')) {
    parts.push(
      await createRunnerPart(context, {
        syncDatabase: { url: databases.urls.runner.sync, ...POOL },
        grantPrivateKeys: options.grantsConfigured === false ? [] : [keys.privateKey],
        gateway: { url: gateway.url, serviceKey: SERVICE_KEY, timeoutMs: 300_000, mostInFlight: 100 },
        planner: { ...PLANNER_SETTINGS, ...options.planner },
        heartbeatTimeoutMs: 10_000,
        roundsPerSecond: null,
        research: options.research ?? { shallowUrl: null, deep: null },
      }),
    );
  }
  if (names.includes('vault')) {
    parts.push(
      await createVaultPart(context, {
        syncDatabase: { url: databases.urls.vault.sync, ...POOL },
        authDatabase: { url: databases.urls.vault.auth, ...POOL },
        keks: { default: keys.kek, byId: new Map() },
        acceptV1Grants: true,
      }),
    );
  }
  if (names.includes('projection')) {
    const syncDatabase = { url: databases.urls.projection.sync, ...POOL };
    parts.push(await createProjectionPart(context, { syncDatabase }));
  }
  const runs = parts.map((part) => part.worker.run());
  for (const part of parts) await part.onceRunning();
  return async () => {
    for (const part of parts) part.worker.shutdown();
    await Promise.all(runs);
    await Promise.all(parts.map((part) => part.close()));
    await connection.close();
  };
}

let installed = false;

/** Once for each process: the SDK has one runtime. Its lines go to the log of the system that was started first. */
function installRuntime(logger: Logger): void {
  if (installed) return;
  installed = true;
  Runtime.install({ logger: createTemporalLogger(logger), shutdownSignals: [] });
}
