import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Connection } from '@temporalio/client';
import { freePort, onPort } from './free-port.ts';
import { spawnProcess, waitUntilReady, type ManagedProcess, type ProcessOptions } from './processes.ts';

const root = resolve(import.meta.dirname, '..');

export interface TemporalServerOptions {
  readonly port?: number;
  /** With the Temporal UI, on `uiPort` or a free port. */
  readonly ui: boolean;
  readonly uiPort?: number;
  /** Endpoint that the UI asks to decode payloads. */
  readonly uiCodecEndpoint?: string;
  /** SQLite file that keeps the server's data, so that it can be searched; in memory by default. */
  readonly dbFile?: string;
  readonly logFile: string;
  /** Names of Keyword search attributes to register. */
  readonly searchAttributes: readonly string[];
  /** What differs from our dynamic configuration, by key of the server. */
  readonly dynamicConfig?: Readonly<Record<string, boolean | number | string>>;
}

export interface TemporalServer {
  /** `host:port` of the frontend. */
  readonly address: string;
  readonly uiUrl: string | null;
  readonly logFile: string;
  stop(): Promise<void>;
  /** As a crashing machine would; with a file it can be started again on its port. */
  kill9(): Promise<void>;
}

/** Fairness keys do nothing unless they are switched on; "daily at 08:00" must not trickle through 30 starts a second. */
export const dynamicConfig = {
  'matching.enableFairness': true,
  'worker.schedulerNamespaceStartWorkflowRPS': 300,
};

/** Starts Temporal's development server and waits until its frontend answers. */
export async function startTemporalServer(options: TemporalServerOptions): Promise<TemporalServer> {
  const uiPort = options.ui ? (options.uiPort ?? (await freePort())) : null;
  const start = async (port: number): Promise<TemporalServer> => {
    const address = `127.0.0.1:${port}`;
    const server = await startAndWait(address, {
      name: 'the Temporal server',
      command: temporalCliPath(),
      args: serverArguments(options, port, uiPort),
      // Without these the CLI would read the developer's own Temporal profile.
      env: { TEMPORAL_CONFIG_FILE: '/dev/null' },
      logFile: options.logFile,
    });
    return {
      address,
      uiUrl: uiPort === null ? null : `http://127.0.0.1:${uiPort}`,
      logFile: options.logFile,
      ...endsOf(server),
    };
  };
  return await onPort(options.port, start);
}

function serverArguments(options: TemporalServerOptions, port: number, uiPort: number | null): string[] {
  const repeated = (flag: string, values: readonly string[]) => values.flatMap((value) => [flag, value]);
  const settings = Object.entries({ ...dynamicConfig, ...options.dynamicConfig }).map(
    ([key, value]) => `${key}=${JSON.stringify(value)}`,
  );
  const ui = uiPort === null ? ['--headless'] : ['--ui-port', String(uiPort), '--ui-ip', '127.0.0.1'];
  const codec = options.uiCodecEndpoint === undefined ? [] : ['--ui-codec-endpoint', options.uiCodecEndpoint];
  const file =
    options.dbFile === undefined
      ? []
      : // Five times the throughput of the default, which waits for the disk at every commit.
        [
          '--db-filename',
          options.dbFile,
          ...repeated('--sqlite-pragma', ['journal_mode=WAL', 'synchronous=OFF']),
        ];
  return [
    ...['server', 'start-dev', '--ip', '127.0.0.1', '--port', String(port), '--log-level', 'warn'],
    ...[...ui, ...codec, ...file],
    ...repeated(
      '--search-attribute',
      options.searchAttributes.map((name) => `${name}=Keyword`),
    ),
    ...repeated('--dynamic-config-value', settings),
  ];
}

/** Starts Temporal's time-skipping test server: workflows with long timers end at once, schedules are not supported. */
export async function startTimeSkippingServer(options: {
  readonly port?: number;
  readonly logFile: string;
}): Promise<TemporalServer> {
  const start = async (port: number): Promise<TemporalServer> => {
    const address = `127.0.0.1:${port}`;
    const server = await startAndWait(address, {
      name: 'the time-skipping test server',
      command: timeSkippingServerPath(),
      args: [String(port)],
      env: {},
      logFile: options.logFile,
    });
    return { address, uiUrl: null, logFile: options.logFile, ...endsOf(server) };
  };
  return await onPort(options.port, start);
}

/** `TEMPORAL_CLI`, else what `scripts/bootstrap.mjs` installed. */
export const temporalCliPath = (): string =>
  installed(process.env['TEMPORAL_CLI'] ?? join(root, '.tools', 'temporal', 'bin', 'temporal'));

/** What `scripts/bootstrap.mjs --with-test-server` installed. */
export const timeSkippingServerPath = (): string =>
  installed(join(root, '.tools', 'temporal-test-server', 'bin', 'temporal-test-server'));

function installed(path: string): string {
  if (existsSync(path)) return path;
  throw new Error(`${path} is missing: run "node scripts/bootstrap.mjs --with-test-server"`);
}

async function startAndWait(address: string, options: ProcessOptions): Promise<ManagedProcess> {
  const server = await spawnProcess({ ...options, abortSignal: 'SIGKILL' });
  try {
    await waitUntilReady(server, () => answers(address), 60_000);
  } catch (error) {
    await server.stop(1_000);
    throw error;
  }
  return server;
}

async function answers(address: string): Promise<boolean> {
  try {
    const connection = await Connection.connect({ address, connectTimeout: 1_000 });
    await connection.close();
    return true;
  } catch {
    return false;
  }
}

const endsOf = (server: ManagedProcess): Pick<TemporalServer, 'stop' | 'kill9'> => ({
  stop: async () => {
    await server.stop();
  },
  kill9: async () => {
    await server.kill9();
  },
});
