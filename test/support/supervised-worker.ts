import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { spawnProcess, type ManagedProcess } from '#dev/processes.ts';
import { environmentOf, type Surroundings } from './worker-process.ts';

const root = resolve(import.meta.dirname, '..', '..');

/** A poisoned worker (test/support/poisoned-worker.ts) that is started again whenever it ends, as an orchestrator would. */
export interface SupervisedWorker {
  /** How often it ended by itself. */
  readonly deaths: () => number;
  readonly logFile: string;
  /** The process that runs now. */
  readonly running: () => ManagedProcess;
  /** How often a pill has taken effect in one of its processes. */
  readonly poisonings: () => number;
  /** Of the health endpoint of the process that started last. */
  readonly healthUrl: () => string;
  stop(): Promise<void>;
}

export async function superviseWorker(
  role: 'runner' | 'vault',
  around: Surroundings,
  poison: Readonly<Record<string, string>>,
): Promise<SupervisedWorker> {
  const logFile = join(around.logDirectory, `poisoned-${role}-${process.pid}-${Math.random()}.log`);
  let deaths = 0;
  const stopping = new AbortController();
  const start = (): Promise<ManagedProcess> =>
    spawnProcess({
      name: `poisoned ${role}`,
      command: process.execPath,
      args: ['test/support/poisoned-worker.ts', role],
      env: { ...environmentOf(role, around), ...poison },
      logFile,
      cwd: root,
    });
  const output = (): string => readFileSync(logFile, 'utf8');
  let current = await start();
  const watching = (async () => {
    for (;;) {
      await current.exited;
      if (stopping.signal.aborted) return;
      deaths += 1;
      current = await start();
    }
  })();
  return {
    deaths: () => deaths,
    logFile,
    running: () => current,
    poisonings: () => output().match(/"msg":"poisoned"/g)?.length ?? 0,
    healthUrl: () =>
      `http://127.0.0.1:${[...output().matchAll(/"healthPort":(\d+)/g)].at(-1)?.[1] ?? 'none'}`,
    stop: async () => {
      stopping.abort();
      await current.stop();
      await watching;
    },
  };
}
