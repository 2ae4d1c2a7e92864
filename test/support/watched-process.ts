import { waitUntil } from './wait-until.ts';
import { startWindowProxy, type Window, type WindowProxy } from './window-proxy.ts';
import { startSystemProcess, type Surroundings, type SystemProcess } from './worker-process.ts';

export type WatchedRole = 'runner' | 'vault' | 'projection';

/** A process whose work can be made to stand still. */
export interface WatchedProcess {
  readonly process: SystemProcess;
  readonly database: WindowProxy;
  readonly gateway: WindowProxy;
  /** Resolves once work stands still in each of these windows at once. */
  untilIn(windows: readonly Window[]): Promise<unknown>;
  /** With -9. @returns the names of the windows in which it stood */
  kill(): Promise<readonly string[]>;
}

/** Starts it behind a proxy to its database and one to its gateway. */
export async function watchProcess(role: WatchedRole, around: Surroundings): Promise<WatchedProcess> {
  const openWay = async (target: string): Promise<{ readonly url: string; readonly proxy: WindowProxy }> => {
    const url = new URL(target);
    const proxy = await startWindowProxy({ port: Number(url.port) });
    url.port = String(proxy.port);
    return { url: url.href, proxy };
  };
  const database = await openWay(around.databases.urls[role].sync);
  const gateway = await openWay(around.gateway.url);
  const process = await startSystemProcess(role, around, {
    SYNC_DATABASE_URL: database.url,
    ...(role === 'runner' ? { MANA_LLM_URL: gateway.url } : {}),
    // Each statement goes over the wire with its text.
    DATABASE_PREPARED_STATEMENTS: 'false',
    // Nobody has to wait for those who stand still.
    DATABASE_MAX_CONNECTIONS: '40',
  });
  const standing = (): string[] => [...database.proxy.standing(), ...gateway.proxy.standing()];
  return {
    process,
    database: database.proxy,
    gateway: gateway.proxy,
    untilIn: (windows) =>
      waitUntil(
        `the ${role} stands still in each window`,
        () => windows.every(({ name }) => standing().includes(name)),
        { deadlineMs: 120_000 },
      ),
    kill: async () => {
      const stood = standing();
      await process.kill9();
      await Promise.all([database.proxy.close(), gateway.proxy.close()]);
      return stood;
    },
  };
}

/** Around the commit of the transaction in which this is written. */
export const commitWindow = (
  role: WatchedRole,
  what: string,
  { moment, awaited }: Pick<Window, 'moment' | 'awaited'>,
): Window => ({
  ...{ name: `${role}: ${moment} the commit of ${what}`, moment },
  ...{ awaited, sends: 'commit\0', hears: 'COMMIT\0' },
});
