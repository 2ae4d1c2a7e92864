import { setTimeout as delay } from 'node:timers/promises';
import { quantile } from './measure.ts';
import { cpuMs } from './missions/cpu.ts';
import type { Findings, PartOptions } from './results/result.ts';
import { PROGRAMS, startStack, type Stack } from '#dev/stack.ts';

/** Settled: the projection has found nothing for longer than a minute. */
const FULL = { starts: 5, turns: 3, turnMs: 30_000, settleMs: 80_000 };
const SMALL: typeof FULL = { starts: 1, turns: 1, turnMs: 1_000, settleMs: 0 };

/** How long each process takes until it is ready, and what all of them use while there is nothing to do. */
export async function benchIdle({ isSmall }: PartOptions): Promise<Findings> {
  const sizes = isSmall ? SMALL : FULL;
  const stack = await startStack({ ports: {}, say: () => undefined });
  try {
    const starts = new Map<string, number[]>(PROGRAMS.map((name) => [name, []]));
    for (let start = 0; start < sizes.starts; start += 1)
      for (const name of PROGRAMS) starts.get(name)?.push((await stack.restartProgram(name)) / 1_000);
    await delay(sizes.settleMs);
    const idle = await idleCores(stack, sizes);
    const together = Array.from({ length: sizes.turns }, (_, turn) =>
      PROGRAMS.reduce((sum, name) => sum + (idle.get(name)?.[turn] ?? NaN), 0),
    );
    return {
      settings: {
        'starts of each': sizes.starts,
        'idle turns': sizes.turns,
        'a turn (s)': sizes.turnMs / 1_000,
      },
      tables: [
        {
          title: 'From the start of a process until it is ready, and cores that it uses with nothing to do',
          header: ['process', 'ready after (s)', 'cores when idle'],
          rows: [
            ...PROGRAMS.map((name) => [name, starts.get(name) ?? [], idle.get(name) ?? []]),
            ['together', '', together],
          ],
        },
      ],
      aims: [{ what: 'Cores of all four when idle', found: quantile(together, 0.5), atMost: 0.02 }],
      notes: [
        'Programs and packages were in the page cache, code was compiled anew (no `NODE_COMPILE_CACHE`).',
      ],
    };
  } finally {
    await stack.stop();
  }
}

async function idleCores(stack: Stack, { turns, turnMs }: typeof FULL): Promise<Map<string, number[]>> {
  const cores = new Map<string, number[]>();
  for (let turn = 0; turn < turns; turn += 1) {
    const before = Object.entries(stack.pids()).map(([name, pid]) => ({ name, pid, usedMs: cpuMs(pid) }));
    const startedMs = performance.now();
    await delay(turnMs);
    const tookMs = performance.now() - startedMs;
    for (const { name, pid, usedMs } of before)
      cores.set(name, [...(cores.get(name) ?? []), (cpuMs(pid) - usedMs) / tookMs]);
  }
  return cores;
}
