import { setTimeout as delay } from 'node:timers/promises';
import { OwnError } from '#domain/base/errors.ts';
import type { WorkerPart } from './part.ts';

const LOOK_EVERY_MS = 5_000;
/** For the SDK to end the worker, with its own error. */
const GRACE_MS = 5_000;

/** A worker of this process does not poll any more, and will not again. */
class WorkerFailedError extends OwnError {
  override readonly name = 'WorkerFailedError';
  constructor(part: string) {
    super(`worker ${part}: it has failed and is not restarted by the SDK`);
  }
}

/**
 * Rejects once the SDK has declared a worker failed. Its `run` does so itself only when the activities under way have ended, and one
 * that goes on for hours would keep a process alive in which nobody polls.
 *
 * @throws WorkerFailedError
 */
export async function failureOf(parts: readonly Pick<WorkerPart, 'name' | 'worker'>[]): Promise<never> {
  for (;;) {
    await delay(LOOK_EVERY_MS, undefined, { ref: false });
    const failed = parts.find(({ worker }) => worker.getState() === 'FAILED');
    if (failed === undefined) continue;
    await delay(GRACE_MS);
    throw new WorkerFailedError(failed.name);
  }
}
