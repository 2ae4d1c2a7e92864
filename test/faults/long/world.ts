import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from '@temporalio/client';
import { createFaultyGateway } from './faulty-gateway.ts';
import { keepTraces } from './traces.ts';
import { startProgram, type Program, type Targets } from './program.ts';
import type { Random } from './random.ts';
import { provisionPlatform, type PlatformDatabases } from '#dev/databases.ts';
import { createTemporaryDirectory } from '#dev/guardian.ts';
import { startJwksIssuer, type JwksIssuer } from '#dev/jwks-issuer.ts';
import { startPostgres, type EmbeddedCluster } from '#dev/postgres.ts';
import { startScriptedGateway } from '#dev/scripted-gateway.ts';
import { startTemporalServer, type TemporalServer } from '#dev/temporal-server.ts';
import { openWebApp, type WebApp } from '#dev/web-app.ts';
import { SEARCH_ATTRIBUTE_NAMES } from '#domain/run/search-attributes.ts';
import { connect } from '#temporal/connection.ts';
import { createDataConverter } from '#temporal/data-converter.ts';
import type { LoggedScript } from '#test/support/checked-missions.ts';
import type { Surroundings } from '#test/support/worker-process.ts';
import { bundleWorkflows } from '#worker/workflow-bundle.ts';

/** The service as it is run, two of each process, on servers of its own that can be ended. */
export interface World {
  readonly databases: PlatformDatabases;
  readonly postgres: EmbeddedCluster;
  readonly address: string;
  readonly client: Client;
  readonly issuer: JwksIssuer;
  readonly webApp: WebApp;
  /** Also those that were started later. */
  readonly programs: readonly Program[];
  /** One more process of each role, of the code that stands there; here by default. */
  startOfEach(checkout?: Partial<Checkout>): Promise<Program[]>;
  readonly gateway: LoggedScript;
  readonly serviceKey: string;
  /** How often the gateway misbehaved, by what it did. */
  readonly gatewayFaults: Readonly<Record<string, number>>;
  /** Answers well from now on. */
  calmGateway(): void;
  restartTemporal(how: 'stop' | 'kill', downMs: number): Promise<void>;
  /** Logs of everything, and Temporal's database. */
  files(): string[];
  /** Copies them, the gateway's log and the databases' rows into a folder, so that a complaint can be explained. */
  keepTraces(folder: string): Promise<void>;
  close(): Promise<void>;
}

export const NAMESPACE = 'default';
/** Another state of the code. */
export type Checkout = Required<Pick<Surroundings, 'checkout' | 'workflowBundlePath'>>;

const ROLES = ['api', 'api', 'runner', 'runner', 'vault', 'vault', 'projection', 'projection'] as const;

export async function startWorld(
  random: Random,
  roles: readonly (typeof ROLES)[number][] = ROLES,
): Promise<World> {
  const stops: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const stop of stops.splice(0)) await stop();
  };
  try {
    return { ...(await startAll(random, stops, roles)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function startAll(
  random: Random,
  stops: (() => Promise<unknown>)[],
  roles: readonly (typeof ROLES)[number][],
): Promise<Omit<World, 'close'>> {
  const directory = createTemporaryDirectory('mana-faults-');
  stops.unshift(() => {
    directory.remove();
    return Promise.resolve();
  });
  const file = (name: string): string => join(directory.path, name);
  const postgres = await startPostgres({ directory: directory.path, keepsCommits: true });
  stops.unshift(() => postgres.stop());
  const databases = await provisionPlatform(postgres);
  const startTemporal = (port?: number): Promise<TemporalServer> =>
    startTemporalServer({
      ...{ ui: false, dbFile: file('temporal.db'), logFile: file('temporal.log') },
      ...(port === undefined ? {} : { port }),
      searchAttributes: Object.values(SEARCH_ATTRIBUTE_NAMES),
    });
  let temporal = await startTemporal();
  stops.unshift(() => temporal.stop());
  const { gateway, gatewayFaults, calmGateway } = createFaultyGateway(random);
  const serviceKey = randomBytes(24).toString('base64url');
  const server = await startScriptedGateway({ serviceKey, script: gateway.script });
  stops.unshift(() => server.close());
  const issuer = await startJwksIssuer();
  stops.unshift(() => issuer.close());
  const keys = createKeys();
  writeFileSync(file('workflow-bundle.js'), await bundleWorkflows());
  const around: Surroundings = {
    ...{ databases, keys, issuerUrl: issuer.url, logDirectory: directory.path },
    temporal: { address: temporal.address, namespace: NAMESPACE },
    gateway: { url: server.url, serviceKey },
    workflowBundlePath: file('workflow-bundle.js'),
  };
  const targets: Targets = {
    postgres,
    temporal: { host: '127.0.0.1', port: Number(temporal.address.split(':')[1]) },
    gateway: { host: '127.0.0.1', port: server.port },
  };
  const settings = { MANA_SERVICE_KEY_SHA256: createHash('sha256').update(serviceKey).digest('hex') };
  const programs: Program[] = [];
  stops.unshift(() => Promise.all(programs.map((program) => program.stop())));
  const start = async (role: (typeof ROLES)[number], of: Surroundings): Promise<Program> => {
    const program = await startProgram(role, of, targets, role === 'api' ? settings : {});
    programs.push(program);
    return program;
  };
  for (const role of roles) await start(role, around);
  const connection = await connect({ address: temporal.address, namespace: NAMESPACE });
  stops.unshift(() => connection.close());
  const webApp = openWebApp({ ...databases.asWebApp, kek: keys.kek });
  stops.unshift(() => webApp.close());
  const files = (): string[] => [
    ...['temporal.db', 'temporal.db-wal', 'temporal.log', 'postgres.log'].map(file),
    ...programs.flatMap((program) => program.logFiles()),
  ];
  return {
    ...{ databases, postgres, issuer, webApp, programs, gateway, gatewayFaults, calmGateway, serviceKey },
    address: temporal.address,
    client: new Client({
      connection,
      namespace: NAMESPACE,
      dataConverter: createDataConverter(keys.codecKeys),
    }),
    startOfEach: async (checkout = {}) => {
      const started: Program[] = [];
      for (const role of new Set(ROLES)) started.push(await start(role, { ...around, ...checkout }));
      while (started.some((program) => program.url() === null)) await delay(50);
      return started;
    },
    restartTemporal: async (how, downMs) => {
      await (how === 'stop' ? temporal.stop() : temporal.kill9());
      await new Promise((resolve) => setTimeout(resolve, downMs));
      temporal = await startTemporal(targets.temporal.port);
    },
    files,
    keepTraces: (folder) =>
      keepTraces(folder, { files: files(), asked: gateway.asked, syncUrl: databases.superuser.syncUrl }),
  };
}

function createKeys(): Surroundings['keys'] {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const codecKeys = { primaryKeyId: 'faults-1', keys: new Map([['faults-1', randomBytes(32)]]) };
  return { kek: randomBytes(32), publicKey, privateKey, codecKeys };
}
