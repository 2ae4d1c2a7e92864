import { execFile } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { Connection } from '@temporalio/client';
import { createLogin, inDatabase, withClient } from '#dev/platform-schema.ts';
import type { EmbeddedCluster } from '#dev/postgres.ts';
import { inheritedEnv, spawnProcess, waitUntilReady } from '#dev/processes.ts';
import type { TemporalServer } from '#dev/temporal-server.ts';
import { setUpTemporal } from '#temporal/setup.ts';

/** As docker/temporal-schema.sh and docker-compose.temporal.yml name them. */
const SCHEMAS = { temporal: 'temporal', temporal_visibility: 'visibility' } as const;
const SERVICES = ['FRONTEND', 'MATCHING', 'HISTORY', 'WORKER'] as const;
export const dynamicConfigFile = resolve(import.meta.dirname, '../../docker/temporal-dynamic-config.yaml');

/** Programs built from the Go module of the server; docs/deployment.md says how. */
interface ProductionPrograms {
  readonly server: string;
  readonly sqlTool: string;
}

/** @throws Error that says what to set */
export function productionPrograms(env: Readonly<Record<string, string | undefined>>): ProductionPrograms {
  const { TEMPORAL_SERVER: server, TEMPORAL_SQL_TOOL: sqlTool } = env;
  if (server === undefined || sqlTool === undefined)
    throw new Error(
      'TEMPORAL_SERVER and TEMPORAL_SQL_TOOL: paths of the built programs, see docs/deployment.md, One version of Temporal',
    );
  return { server, sqlTool };
}

/**
 * Temporal's production server with its two databases in PostgreSQL, our dynamic configuration, and the namespace as `missions
 * setup` makes it.
 */
export async function startProductionTemporal(
  programs: ProductionPrograms,
  postgres: EmbeddedCluster,
  directory: string,
): Promise<TemporalServer> {
  const user = await createDatabases(postgres);
  for (const [database, schema] of Object.entries(SCHEMAS))
    await makeSchema(programs, user, database, schema);
  const port = await lowPort();
  const address = `127.0.0.1:${port}`;
  const logFile = join(directory, 'temporal.log');
  const server = await spawnProcess({
    name: 'the Temporal server',
    command: programs.server,
    args: ['start'],
    env: await serverEnvironment(user, port),
    logFile,
    cwd: directory,
    abortSignal: 'SIGKILL',
  });
  try {
    await waitUntilReady(server, () => isSetUp(address), 180_000);
  } catch (error) {
    await server.stop(1_000);
    throw error;
  }
  return {
    ...{ address, uiUrl: null, logFile },
    stop: async () => {
      await server.stop(30_000);
    },
    kill9: async () => {
      await server.kill9();
    },
  };
}

/** @returns the connection string of their owner */
const createDatabases = (postgres: EmbeddedCluster): Promise<URL> =>
  withClient(postgres.superuserUrl('postgres'), async (client) => {
    const user = await createLogin(client, postgres.superuserUrl('postgres'), 'temporal');
    for (const database of Object.keys(SCHEMAS))
      await client.query(`create database ${database} owner temporal`);
    return new URL(inDatabase(user, 'temporal'));
  });

async function makeSchema(
  { sqlTool }: ProductionPrograms,
  user: URL,
  database: string,
  schema: string,
): Promise<void> {
  const env = {
    ...inheritedEnv(),
    ...{ SQL_PLUGIN: 'postgres12', SQL_HOST: user.hostname, SQL_PORT: user.port, SQL_DATABASE: database },
    ...{ SQL_USER: user.username, SQL_PASSWORD: decodeURIComponent(user.password) },
  };
  const run = promisify(execFile);
  await run(sqlTool, ['setup-schema', '-v', '0.0'], { env });
  await run(sqlTool, ['update-schema', '--schema-name', `postgresql/v12/${schema}`], { env });
}

/** What the compose file gives it, on ports of its own and of the loopback interface alone. */
async function serverEnvironment(user: URL, port: number): Promise<Record<string, string>> {
  const ports: Record<string, string> = {};
  for (const service of SERVICES) {
    ports[`${service}_GRPC_PORT`] = String(service === 'FRONTEND' ? port : await lowPort());
    ports[`${service}_MEMBERSHIP_PORT`] = String(await lowPort());
  }
  return {
    ...ports,
    FRONTEND_HTTP_PORT: String(await lowPort()),
    BIND_ON_IP: '127.0.0.1',
    ...{ DB: 'postgres12', POSTGRES_SEEDS: user.hostname, DB_PORT: user.port },
    ...{ POSTGRES_USER: user.username, POSTGRES_PWD: decodeURIComponent(user.password) },
    NUM_HISTORY_SHARDS: '64',
    DYNAMIC_CONFIG_FILE_PATH: dynamicConfigFile,
    LOG_LEVEL: 'warn',
  };
}

/** A free one of 127.0.0.1: the server keeps the ports of its services in columns that end at 32,767. */
async function lowPort(): Promise<number> {
  const port = randomInt(10_000, 32_768);
  const server = createServer().listen({ host: '127.0.0.1', port });
  try {
    await once(server, 'listening');
    return port;
  } catch {
    return await lowPort();
  } finally {
    server.close();
  }
}

/** The frontend answers before the rest of the server does what it is asked for. */
async function isSetUp(address: string): Promise<boolean> {
  try {
    const connection = await Connection.connect({ address, connectTimeout: 1_000 });
    try {
      await setUpTemporal(connection, 'default');
      return true;
    } finally {
      await connection.close();
    }
  } catch {
    return false;
  }
}
