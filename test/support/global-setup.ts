import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { provisionPlatform } from '../../dev/databases.ts';
import type { PlatformDatabases } from '../../dev/databases.ts';
import { createTemporaryDirectory } from '../../dev/guardian.ts';
import { startPostgres } from '../../dev/postgres.ts';
import { startTemporalServer, startTimeSkippingServer } from '../../dev/temporal-server.ts';
import { SEARCH_ATTRIBUTE_NAMES } from '../../domain/search-attributes.ts';

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

/** One PostgreSQL and one Temporal of each kind for the whole run; none when only unit tests were asked for. */
export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  if (project.vitest.projects.every(({ name }) => name === 'unit')) return () => Promise.resolve();
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
  const tearDown = async (): Promise<void> => {
    await Promise.allSettled(starting);
    await Promise.all(stops.map((stop) => stop()));
    directory.remove();
  };
  try {
    const [postgres, temporal, timeSkipping] = await Promise.all(starting);
    project.provide('platform', await provisionPlatform(postgres));
    project.provide('temporalAddress', temporal.address);
    project.provide('timeSkippingAddress', timeSkipping.address);
    project.provide('postgresUrl', postgres.superuserUrl('postgres'));
    project.provide('postgresHost', postgres.host);
    project.provide('postgresPort', postgres.port);
    project.provide('serverLogDirectory', directory.path);
  } catch (error) {
    await tearDown();
    throw error;
  }
  return tearDown;
}
