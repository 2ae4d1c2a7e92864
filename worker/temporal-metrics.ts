import { createServer } from 'node:net';
import { once } from 'node:events';
import { Runtime, type RuntimeOptions } from '@temporalio/worker';
import { appendMetrics } from '#metrics/registry.ts';

const HOST = '127.0.0.1';
const TRIES = 5;
/** A scrape waits for all figures of the process; these come from the same machine. */
const ANSWER_WITHIN_MS = 1_000;

/**
 * Installs the SDK's runtime with its metrics on. Its core gives them out by a server of its own only, so that one listens on
 * the loopback interface, on any free port, and `GET /metrics` of the process appends what it says.
 *
 * @throws Error when no port can be listened on
 */
export async function installRuntime(options: RuntimeOptions): Promise<void> {
  const address = await installOnFreePort(options, TRIES);
  appendMetrics(async () => {
    try {
      const response = await fetch(`http://${address}/metrics`, {
        signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
      });
      return response.ok ? await response.text() : '';
    } catch {
      // The others must not be missed for these.
      return '';
    }
  });
}

/** Somebody may take the port between our look and the core's. */
async function installOnFreePort(options: RuntimeOptions, triesLeft: number): Promise<string> {
  const bindAddress = `${HOST}:${await freePort()}`;
  // Base units and suffixes, as Prometheus wants them.
  const conventions = { countersTotalSuffix: true, unitSuffix: true, useSecondsForDurations: true };
  try {
    Runtime.install({
      ...options,
      telemetryOptions: {
        ...options.telemetryOptions,
        metrics: { prometheus: { bindAddress, ...conventions } },
      },
    });
    return bindAddress;
  } catch (error) {
    if (triesLeft <= 1) throw error;
    return installOnFreePort(options, triesLeft - 1);
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, HOST);
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' ? (address?.port ?? 0) : 0;
}
