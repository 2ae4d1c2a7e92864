import { NativeConnection } from '@temporalio/worker';
import {
  CONNECT_TIMEOUT_MS,
  TemporalUnreachableError,
  toConnectionOptions,
  type TemporalConfig,
} from './connection.ts';

/**
 * The native connection that the workers of a process share; close it after they have stopped. It is a file of its
 * own because the API must not load the native core.
 *
 * @throws TemporalUnreachableError with the address if the server does not answer in time
 */
export async function connectWorker(
  config: TemporalConfig,
  timeoutMs = CONNECT_TIMEOUT_MS,
): Promise<NativeConnection> {
  const { promise: timedOut, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no connection within ${timeoutMs} ms`)), timeoutMs);
  const connecting = NativeConnection.connect(toConnectionOptions(config));
  try {
    return await Promise.race([connecting, timedOut]);
  } catch (error) {
    // A connection that comes too late is closed; one that fails has been reported already.
    connecting.then((late) => late.close()).catch(() => undefined);
    throw new TemporalUnreachableError(config.address, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}
