/** `node bench/baselines/floor-worker.ts ADDRESS QUEUE`: a bare worker of Temporal, for the floor. Says `polling` once it does. */
import { fileURLToPath } from 'node:url';
import { setTimeout as delay } from 'node:timers/promises';
import { NativeConnection, Worker } from '@temporalio/worker';

const activities = {
  nothing: (): Promise<void> => Promise.resolve(),
  wait: (ms: number): Promise<void> => delay(ms),
};
export type FloorActivities = typeof activities;

const [address = '', taskQueue = ''] = process.argv.slice(2);
const connection = await NativeConnection.connect({ address });
const worker = await Worker.create({
  connection,
  taskQueue,
  activities,
  ...(taskQueue === 'floor-vault'
    ? {}
    : { workflowsPath: fileURLToPath(new URL('floor-workflows.ts', import.meta.url)) }),
  stickyQueueScheduleToStartTimeout: '2s',
});
const stop = (): void => worker.shutdown();
process.once('SIGTERM', stop);
const running = worker.run();
console.log('polling');
await running;
await connection.close();
