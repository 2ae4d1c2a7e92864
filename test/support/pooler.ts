import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { inject } from 'vitest';
import { onPort } from '#dev/free-port.ts';
import { createTemporaryDirectory } from '#dev/guardian.ts';
import { withClient } from '#dev/platform-schema.ts';
import { spawnProcess, waitUntilReady } from '#dev/processes.ts';

/** PgBouncer in transaction mode before the shared PostgreSQL: a connection is lent for a transaction, not longer. */
export interface Pooler {
  /** Same user, same database, by way of the pooler. */
  readonly through: (url: string) => string;
  stop(): Promise<void>;
}

export interface PoolerOptions {
  /** 0: none are kept, as before PgBouncer 1.21. */
  readonly maxPreparedStatements: number;
  /** To PostgreSQL, for each user in each database. */
  readonly connections: number;
}

/** Starts it for the users of the service, with their passwords. */
export async function startPooler(options: PoolerOptions): Promise<Pooler> {
  const directory = createTemporaryDirectory('mana-pooler-');
  try {
    const server = await onPort(undefined, (port) => startOn(port, directory.path, options));
    return {
      through: (url) => onServer(url, server.port),
      stop: async () => {
        await server.stop();
        directory.remove();
      },
    };
  } catch (error) {
    directory.remove();
    throw error;
  }
}

async function startOn(port: number, directory: string, options: PoolerOptions) {
  const { urls } = inject('platform');
  const users = Object.values(urls).map(({ sync }) => new URL(sync));
  const usersFile = join(directory, 'users.txt');
  const text = users.map(({ username, password }) => `"${username}" "${password}"\n`).join('');
  writeFileSync(usersFile, text, { mode: 0o600 });
  const configFile = join(directory, 'pgbouncer.ini');
  writeFileSync(
    configFile,
    `[databases]
* = host=${inject('postgresHost')} port=${inject('postgresPort')}
[pgbouncer]
pool_mode = transaction
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${usersFile}
default_pool_size = ${options.connections}
max_prepared_statements = ${options.maxPreparedStatements}
server_tls_sslmode = disable
${process.getuid?.() === 0 ? 'user = nobody' : ''}
`,
  );
  const [command, ...args] = pgBouncer();
  const logFile = join(directory, 'pgbouncer.log');
  const server = await spawnProcess({
    name: 'PgBouncer',
    command,
    args: [...args, configFile],
    env: {},
    logFile,
    // It waits for clients on SIGTERM.
    stopSignal: 'SIGINT',
    abortSignal: 'SIGKILL',
  });
  try {
    await waitUntilReady(server, () => answers(onServer(urls.api.sync, port)), 60_000);
  } catch (error) {
    await server.stop();
    throw error;
  }
  return { port, stop: () => server.stop(2_000) };
}

const onServer = (url: string, port: number): string => {
  const changed = new URL(url);
  changed.port = String(port);
  return changed.href;
};

async function answers(url: string): Promise<boolean> {
  try {
    await withClient(url, (client) => client.query('select 1'));
    return true;
  } catch {
    return false;
  }
}

/** `PGBOUNCER`, else what `scripts/bootstrap.mjs` unpacked, which runs with the libraries that lie beside it. */
function pgBouncer(): readonly [string, ...string[]] {
  const own = process.env['PGBOUNCER'];
  if (own !== undefined) return [own];
  const root = resolve(import.meta.dirname, '..', '..', '.tools', 'pgbouncer', 'usr');
  if (!existsSync(root)) {
    throw new Error(
      `${root} is missing: run "node scripts/bootstrap.mjs --with-test-server", or, where there is no apt, set PGBOUNCER to a pgbouncer of your own (1.21 or newer)`,
    );
  }
  const entry = (folder: string, pattern: RegExp): string => {
    const found = readdirSync(folder).find((name) => pattern.test(name));
    if (found === undefined) throw new Error(`nothing in ${folder} is named like ${String(pattern)}`);
    return join(folder, found);
  };
  const libraries = entry(join(root, 'lib'), /-linux-gnu$/);
  return [entry(libraries, /^ld-linux.*\.so/), '--library-path', libraries, join(root, 'sbin', 'pgbouncer')];
}
