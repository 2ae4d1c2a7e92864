import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { join, resolve } from 'node:path';
import { Client } from '@temporalio/client';
import { provisionPlatform, type PlatformDatabases } from './databases.ts';
import { freePort, onPort } from './free-port.ts';
import { createTemporaryDirectory } from './guardian.ts';
import { startJwksIssuer, type JwksIssuer } from './jwks-issuer.ts';
import type { OutsideGateway } from './outside-gateway.ts';
import { startPostgres, type EmbeddedCluster } from './postgres.ts';
import { logTail, spawnProcess, waitForHealth, waitUntilReady, type ManagedProcess } from './processes.ts';
import { startRecordingProxy, type OnExchange, type RecordingProxyOptions } from './recording-proxy.ts';
import { startScriptedResearch } from './scripted-research.ts';
import { startTemporalServer, type TemporalServer } from './temporal-server.ts';
import { openWebApp, type WebApp } from './web-app.ts';
import { SEARCH_ATTRIBUTE_NAMES } from '#domain/run/search-attributes.ts';
import { connect } from '#temporal/connection.ts';
import { createDataConverter } from '#temporal/data-converter.ts';

const root = resolve(import.meta.dirname, '..');

export interface StackOptions {
  /** Free ones unless given. */
  readonly ports: {
    readonly api?: number;
    readonly temporal?: number;
    readonly ui?: number;
    readonly postgres?: number;
  };
  /** The missions of the tour want research, and a model that knows them. */
  readonly tour?: boolean;
  /** Plans in place of the scripted gateway. */
  readonly gateway?: OutsideGateway;
  /** Hears every exchange with `gateway`. */
  readonly onExchange?: OnExchange;
  /** Another Temporal server than the one for development, with the namespace `default` set up; logs to `temporal.log` there. */
  readonly temporal?: (postgres: EmbeddedCluster, directory: string) => Promise<TemporalServer>;
  /** Where API and workers run from, with the bundle that lies there, instead of this clone. */
  readonly built?: BuiltPrograms;
  /** Receives one line per stage. */
  readonly say: (line: string) => void;
}

/** What is to become an image: production's packages, and the workflow bundle in `dist/`. */
export interface BuiltPrograms {
  readonly folder: string;
  /** What a program's command line is given to, as its last arguments; empty: it is run as it stands. */
  readonly wrapper: readonly string[];
}

/** The whole system on this machine: every process on its own, with its own secrets and database user. */
export interface Stack {
  readonly directory: string;
  readonly databases: PlatformDatabases;
  readonly temporal: TemporalServer;
  readonly client: Client;
  readonly issuer: JwksIssuer;
  readonly webApp: WebApp;
  readonly apiUrl: string;
  /** Logs an operator in at `<apiUrl>/codec/login`, so that the Temporal UI shows what payloads hold. */
  readonly operatorToken: string;
  readonly gatewayLogFile: string;
  /** Every log but the gateway's, which holds the prompts. */
  readonly logFiles: readonly string[];
  readonly temporalDatabaseFile: string;
  /** Texts that must stand nowhere but in the environment of their processes. */
  readonly secrets: readonly string[];
  /** Process id of each program that runs. */
  pids(): Readonly<Record<string, number>>;
  /** Where each program answers `/ready` and `/metrics`. */
  readonly urls: Readonly<Record<ProgramName, string>>;
  /**
   * Ends one program and starts it again.
   *
   * @param settings on top of its environment, until it is started again
   * @returns milliseconds until it was ready
   */
  restartProgram(name: ProgramName, settings?: Readonly<Record<string, string>>): Promise<number>;
  /** Bundles the workflows anew and restarts API and workers, on the ports they had. */
  restartPrograms(): Promise<void>;
  stop(): Promise<void>;
}

type Stop = () => Promise<unknown>;

/** Starts everything; whatever was started is stopped again when something fails. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const stops: Stop[] = [];
  const stop = async (): Promise<void> => {
    for (const end of stops.splice(0)) await end();
  };
  try {
    return { ...(await startAll(options, stops)), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startAll(options: StackOptions, stops: Stop[]): Promise<Omit<Stack, 'stop'>> {
  const { ports, say } = options;
  const temporary = createTemporaryDirectory('mana-missions-');
  const directory = temporary.path;
  stops.unshift(() => {
    temporary.remove();
    return Promise.resolve();
  });
  const logFile = (name: string): string => join(directory, `${name}.log`);

  // The Temporal UI is told where payloads are decoded when its server starts, long before the API does.
  const apiPort = ports.api ?? (await freePort());
  say('PostgreSQL, Temporal and the workflow bundle');
  const temporalDatabaseFile = join(directory, 'temporal.db');
  const { built } = options;
  const bundleFile = join(built?.folder ?? directory, built ? 'dist' : '', 'workflow-bundle.js');
  const startingPostgres = startPostgres({ directory, ...given('port', ports.postgres) });
  const { temporal: startOther } = options;
  const startingTemporal =
    startOther === undefined
      ? startTemporalServer({
          ui: true,
          ...given('port', ports.temporal),
          ...given('uiPort', ports.ui),
          uiCodecEndpoint: `http://127.0.0.1:${apiPort}/codec`,
          dbFile: temporalDatabaseFile,
          logFile: logFile('temporal'),
          searchAttributes: Object.values(SEARCH_ATTRIBUTE_NAMES),
        })
      : startingPostgres.then((cluster) => startOther(cluster, directory));
  const started = await settled([
    startingPostgres.then((cluster) => {
      stops.unshift(() => cluster.stop());
      return cluster;
    }),
    startingTemporal.then((server) => {
      stops.unshift(() => server.stop());
      return server;
    }),
    built === undefined ? buildBundle(bundleFile, logFile('workflow-bundle')) : Promise.resolve(),
  ]);
  const [postgres, temporal] = started;

  say('databases, migrations, roles');
  const databases = await provisionPlatform(postgres);
  const keys = createKeys();
  const issuer = await startJwksIssuer();
  stops.unshift(() => issuer.close());

  say('gateway, API and the three workers, each with its own secrets and database user');
  const gatewayLogFile = join(directory, 'gateway-requests.jsonl');
  const { gateway } = options;
  const gatewaySettings =
    gateway === undefined
      ? {
          MANA_SERVICE_KEY: keys.serviceKey,
          MANA_LLM_URL: await startGateway(
            {
              SERVICE_KEY: keys.serviceKey,
              LOG_FILE: gatewayLogFile,
              SCRIPT: options.tour === true ? 'tour' : 'demo',
            },
            logFile('gateway'),
            stops,
          ),
        }
      : {
          ...gateway.settings,
          MANA_SERVICE_KEY: gateway.serviceKey,
          MANA_LLM_URL: await startProxy(
            { targetUrl: gateway.url, logFile: gatewayLogFile, onExchange: options.onExchange },
            stops,
          ),
        };
  const research = options.tour === true ? await startResearch(keys.serviceKey, stops) : {};
  const environments = environmentsOf({
    databases,
    keys,
    issuer,
    bundleFile,
    temporal,
    runnerSettings: { ...gatewaySettings, ...research },
  });
  const programs = await Promise.all(
    PROGRAMS.map(async (name): Promise<Program> => ({
      name,
      args: name === 'api' ? ['api/server.ts'] : ['worker.ts', name],
      env: environments[name],
      logFile: logFile(name),
      port: name === 'api' ? apiPort : await freePort(),
      built: built ?? { folder: root, wrapper: [] },
    })),
  );
  const running = new Map<string, ManagedProcess>();
  stops.unshift(() => stopAll(running));
  await startPrograms(programs, running);

  const connection = await connect({ address: temporal.address, namespace: 'default' });
  stops.unshift(() => connection.close());
  const webApp = openWebApp({ ...databases.asWebApp, kek: keys.kek });
  stops.unshift(() => webApp.close());
  return {
    directory,
    databases,
    temporal,
    client: new Client({ connection, dataConverter: createDataConverter(keys.codecKeys) }),
    issuer,
    webApp,
    apiUrl: urlOf(programs[0]),
    operatorToken: keys.operatorToken,
    gatewayLogFile,
    logFiles: ['api', 'runner', 'vault', 'projection', 'temporal', 'gateway', 'postgres'].map(logFile),
    temporalDatabaseFile,
    secrets: [...keys.secrets, ...(gateway === undefined ? [] : searchable(gateway.serviceKey))],
    pids: () => Object.fromEntries([...running].map(([name, { pid }]) => [name, pid])),
    urls: Object.fromEntries(programs.map((program) => [program.name, urlOf(program)])) as Stack['urls'],
    restartProgram: async (name, settings = {}) => {
      const program = programs.find((each) => each.name === name);
      if (program === undefined) throw new Error(`no program ${name}`);
      await running.get(name)?.stop(45_000);
      const startedMs = performance.now();
      await startProgram({ ...program, env: { ...program.env, ...settings } }, running);
      return performance.now() - startedMs;
    },
    restartPrograms: async () => {
      await buildBundle(bundleFile, logFile('workflow-bundle'));
      await stopAll(running);
      await startPrograms(programs, running);
    },
  };
}

/** Waits for all before it fails, so that what was started is known and can be stopped. */
async function settled<T extends readonly Promise<unknown>[]>(
  starting: readonly [...T],
): Promise<{ -readonly [Index in keyof T]: Awaited<T[Index]> }> {
  await Promise.allSettled(starting);
  return Promise.all(starting);
}

const given = <Name extends string>(name: Name, value: number | undefined): Partial<Record<Name, number>> =>
  value === undefined ? {} : ({ [name]: value } as Record<Name, number>);

interface StackKeys {
  readonly kek: Buffer;
  readonly publicKeyPem: string;
  readonly privateKeyPem: string;
  readonly serviceKey: string;
  readonly operatorToken: string;
  readonly codecKey: Buffer;
  readonly codecKeys: { readonly primaryKeyId: string; readonly keys: ReadonlyMap<string, Buffer> };
  readonly secrets: readonly string[];
}

const randomToken = (): string => randomBytes(24).toString('base64url');
const sha256Hex = (text: string): string => createHash('sha256').update(text).digest('hex');

function createKeys(): StackKeys {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const [kek, codecKey] = [randomBytes(32), randomBytes(32)];
  const [serviceKey, operatorToken] = [randomToken(), randomToken()];
  const privateKeyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return {
    kek,
    publicKeyPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    privateKeyPem,
    serviceKey,
    operatorToken,
    codecKey,
    codecKeys: { primaryKeyId: 'local-1', keys: new Map([['local-1', codecKey]]) },
    secrets: [
      kek.toString('base64'),
      codecKey.toString('base64'),
      serviceKey,
      operatorToken,
      // A line from the middle: log formats change the line breaks.
      privateKeyPem.split('\n')[5] ?? privateKeyPem,
    ],
  };
}

/** What each process is given; complete, as docs/architecture.md section 7 lists it. */
function environmentsOf(of: {
  readonly databases: PlatformDatabases;
  readonly keys: StackKeys;
  readonly issuer: JwksIssuer;
  readonly bundleFile: string;
  readonly temporal: TemporalServer;
  /** The gateway among them. */
  readonly runnerSettings: Readonly<Record<string, string>>;
}) {
  const { databases, keys, issuer, bundleFile, temporal, runnerSettings } = of;
  const { urls } = databases;
  const common = {
    TEMPORAL_ADDRESS: temporal.address,
    TEMPORAL_NAMESPACE: 'default',
    TEMPORAL_CODEC_KEYS: `${keys.codecKeys.primaryKeyId}:${keys.codecKey.toString('base64')}`,
  };
  const vaultZone = { MANA_AUTH_KEK: keys.kek.toString('base64') };
  return {
    api: {
      ...common,
      ...vaultZone,
      SYNC_DATABASE_URL: urls.api.sync,
      AUTH_DATABASE_URL: urls.api.auth,
      MANA_AUTH_URL: issuer.url,
      MANA_AI_PUBLIC_KEY_PEM: keys.publicKeyPem,
      MANA_SERVICE_KEY_SHA256: sha256Hex(keys.serviceKey),
      OPERATOR_TOKEN_SHA256: sha256Hex(keys.operatorToken),
      ...(temporal.uiUrl !== null && { CODEC_CORS_ORIGIN: temporal.uiUrl }),
      OPENAPI_PAGE: 'true',
    },
    vault: {
      ...common,
      ...vaultZone,
      SYNC_DATABASE_URL: urls.vault.sync,
      AUTH_DATABASE_URL: urls.vault.auth,
    },
    runner: {
      ...common,
      WORKFLOW_BUNDLE: bundleFile,
      SYNC_DATABASE_URL: urls.runner.sync,
      MANA_AI_PRIVATE_KEY_PEM: keys.privateKeyPem,
      ...runnerSettings,
    },
    projection: { ...common, WORKFLOW_BUNDLE: bundleFile, SYNC_DATABASE_URL: urls.projection.sync },
  };
}

async function buildBundle(file: string, logFile: string): Promise<void> {
  const build = await spawnProcess({
    name: 'the workflow bundle',
    command: process.execPath,
    args: ['scripts/build-workflows.ts', file],
    env: {},
    logFile,
    cwd: root,
  });
  const { code } = await build.exited;
  if (code !== 0) throw new Error(`the workflows cannot be bundled:\n${logTail(logFile)}`);
}

/** The scripted research services, in this process, and what the runner has to know of them. */
async function startResearch(serviceKey: string, stops: Stop[]): Promise<Readonly<Record<string, string>>> {
  const research = await startScriptedResearch({ serviceKey });
  stops.unshift(() => research.close());
  return { MANA_API_URL: research.url, MANA_RESEARCH_URL: research.url, DEEP_RESEARCH_ENABLED: 'true' };
}

/** A key so short that it may stand anywhere by chance is no secret of anybody's. */
const searchable = (key: string): string[] => (key.length < 16 ? [] : [key]);

async function startProxy(options: RecordingProxyOptions, stops: Stop[]): Promise<string> {
  const proxy = await startRecordingProxy(options);
  stops.unshift(() => proxy.close());
  return proxy.url;
}

/** The scripted LLM, as a process of its own; in production this is mana-llm. */
async function startGateway(
  env: Readonly<Record<string, string>>,
  logFile: string,
  stops: Stop[],
): Promise<string> {
  return onPort(undefined, async (port) => {
    const gateway = await spawnProcess({
      name: 'the scripted gateway',
      command: process.execPath,
      args: ['dev/scripted-gateway-process.ts'],
      env: { ...env, PORT: String(port) },
      logFile,
      cwd: root,
    });
    stops.unshift(() => gateway.stop());
    await waitUntilReady(gateway, () => Promise.resolve(logTail(logFile).includes('listening')), 60_000);
    return `http://127.0.0.1:${port}`;
  });
}

export const PROGRAMS = ['api', 'runner', 'vault', 'projection'] as const;
export type ProgramName = (typeof PROGRAMS)[number];

interface Program {
  readonly name: ProgramName;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly logFile: string;
  readonly port: number;
  readonly built: BuiltPrograms;
}

const urlOf = (program: Program | undefined): string => `http://127.0.0.1:${program?.port ?? 0}`;

/** Starts all of them and waits until each is ready. */
async function startPrograms(
  programs: readonly Program[],
  running: Map<string, ManagedProcess>,
): Promise<void> {
  await settled(programs.map((program) => startProgram(program, running)));
}

async function startProgram(program: Program, running: Map<string, ManagedProcess>): Promise<void> {
  const port = String(program.port);
  const { folder, wrapper } = program.built;
  const [command = '', ...args] = [...wrapper, process.execPath, ...program.args];
  const started = await spawnProcess({
    name: program.name,
    command,
    args,
    env: {
      ...program.env,
      ...(program.name === 'api' ? { PORT: port, HEALTH_PORT: '0' } : { HEALTH_PORT: port }),
    },
    logFile: program.logFile,
    cwd: folder,
  });
  running.set(program.name, started);
  await waitForHealth(`${urlOf(program)}/ready`, 60_000, started);
}

async function stopAll(running: Map<string, ManagedProcess>): Promise<void> {
  await Promise.all([...running.values()].map((started) => started.stop(45_000)));
  running.clear();
}
