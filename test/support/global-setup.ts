import { join } from 'node:path';
import type { ProvidedContext } from 'vitest';
import type { TestProject } from 'vitest/node';
import { provisionPlatform, type PlatformDatabases } from '#dev/databases.ts';
import { createTemporaryDirectory } from '#dev/guardian.ts';
import { startPostgres } from '#dev/postgres.ts';
import { startTemporalServer, startTimeSkippingServer } from '#dev/temporal-server.ts';
import { SEARCH_ATTRIBUTE_NAMES } from '#domain/run/search-attributes.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The migrated databases; test files work in clones of them, see databases.ts. */
    readonly platform: PlatformDatabases;
    /** `host:port` of the development server, with our search attributes registered in namespace "default". */
    readonly temporalAddress: string;
    /** `host:port` of the time-skipping test server. */
    readonly timeSkippingAddress: string;
    /** Superuser's connection string of the cluster: for databases that a test makes from scratch. */
    readonly postgresUrl: string;
    readonly postgresHost: string;
    readonly postgresPort: number;
    /** Folder with the servers' logs, to be searched. */
    readonly serverLogDirectory: string;
  }
}

interface Servers {
  readonly provided: ProvidedContext;
  readonly stop: () => Promise<void>;
}

/** Every project loads this file for itself; what they share stands where all of them find it. */
const shared = globalThis as { manaTestServers?: { users: number; readonly starting: Promise<Servers> } };

/**
 * One PostgreSQL and one Temporal of each kind for the whole run. Vitest calls this for each project that has a file to run,
 * one after the other: the first starts the servers, the last to be torn down stops them. The unit tests have no such set-up.
 */
export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const servers = (shared.manaTestServers ??= { users: 0, starting: startServers() });
  servers.users += 1;
  const { provided, stop } = await servers.starting;
  for (const name of Object.keys(provided) as (keyof ProvidedContext)[])
    project.provide(name, provided[name]);
  return async () => {
    servers.users -= 1;
    if (servers.users > 0) return;
    delete shared.manaTestServers;
    await stop();
  };
}

async function startServers(): Promise<Servers> {
  const directory = createTemporaryDirectory('mana-test-');
  const stops: (() => Promise<void>)[] = [];
  const started = async <Server extends { stop(): Promise<void> }>(
    starting: Promise<Server>,
  ): Promise<Server> => {
    const server = await starting;
    stops.push(() => server.stop());
    return server;
  };
  const starting = [
    started(startPostgres({ directory: directory.path })),
    started(
      startTemporalServer({
        ui: false,
        logFile: join(directory.path, 'temporal.log'),
        searchAttributes: Object.values(SEARCH_ATTRIBUTE_NAMES),
      }),
    ),
    started(startTimeSkippingServer({ logFile: join(directory.path, 'time-skipping.log') })),
  ] as const;
  const stop = async (): Promise<void> => {
    await Promise.allSettled(starting);
    await Promise.all(stops.map((stopOne) => stopOne()));
    directory.remove();
  };
  try {
    const [postgres, temporal, timeSkipping] = await Promise.all(starting);
    const provided = {
      platform: await provisionPlatform(postgres),
      temporalAddress: temporal.address,
      timeSkippingAddress: timeSkipping.address,
      postgresUrl: postgres.superuserUrl('postgres'),
      postgresHost: postgres.host,
      postgresPort: postgres.port,
      serverLogDirectory: directory.path,
    };
    return { provided, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
