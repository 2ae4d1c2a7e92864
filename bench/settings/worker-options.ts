/**
 * Loaded before a worker of the product (`node --import`): it is created with the options of `BENCH_WORKER_OPTIONS`, JSON, on top of its
 * own. Nobody but a benchmark sets what the product leaves to the SDK.
 */
import { isMainThread } from 'node:worker_threads';
import type { WorkerOptions } from '@temporalio/worker';

// The threads of the workflows load this, too.
if (isMainThread) {
  const { Worker } = await import('@temporalio/worker');
  const create = Worker.create.bind(Worker);
  const { BENCH_WORKER_OPTIONS: given = '{}' } = process.env;
  Worker.create = (options) => create({ ...options, ...(JSON.parse(given) as Partial<WorkerOptions>) });
}
