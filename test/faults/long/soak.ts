import { setTimeout as delay } from 'node:timers/promises';
import type { Program } from './program.ts';
import { EVENT_LOOP_EVERY_MS } from '#metrics/registry.ts';
import { underLoad, type RollingOptions, type RollingResult } from './upgrade.ts';

/** What is looked at of each process, by the name of its metric; in bytes, counts and seconds. */
const FIGURES = {
  residentBytes: 'process_resident_memory_bytes',
  heapUsedBytes: 'nodejs_heap_size_used_bytes',
  openFiles: 'process_open_fds',
  activeResources: 'nodejs_active_resources_total',
  loopLagP99Seconds: 'nodejs_eventloop_lag_p99_seconds',
} as const;
type Figures = Record<keyof typeof FIGURES, number>;

/** The median of a process's samples in the second quarter of the time, when all is warm, and in the last. */
export interface Drift {
  readonly process: string;
  readonly early: Figures;
  readonly late: Figures;
}

export interface SoakResult extends RollingResult {
  readonly samples: number;
  readonly drifts: readonly Drift[];
}

/** One of each process under a steady load; nothing is done to them. */
export async function soak(options: RollingOptions, sampleEveryMs: number): Promise<SoakResult> {
  const samples = new Map<string, Figures[]>();
  const result = await underLoad(options, async (world, third) => {
    const programs = await world.startOfEach();
    void third();
    const endAt = Date.now() + options.forMs;
    while (Date.now() < endAt) {
      for (const program of programs) {
        const figures = await figuresOf(program);
        samples.set(program.role, [...(samples.get(program.role) ?? []), figures]);
      }
      await delay(sampleEveryMs);
    }
    return { drains: [], versions: [{ name: 'today', programs }] };
  });
  const drifts = [...samples].map(([process, of]) => ({
    process,
    early: medians(of.slice(Math.floor(of.length / 4), Math.floor(of.length / 2))),
    late: medians(of.slice(Math.floor((3 * of.length) / 4))),
  }));
  return { ...result, samples: Math.max(...[...samples.values()].map((of) => of.length)), drifts };
}

async function figuresOf(program: Program): Promise<Figures> {
  const response = await fetch(`${program.healthUrl() ?? ''}/metrics`, {
    signal: AbortSignal.timeout(10_000),
  });
  const lines = (await response.text()).split('\n');
  const valueOf = (metric: string): number =>
    Number(lines.find((line) => line.startsWith(`${metric} `))?.slice(metric.length + 1) ?? NaN);
  const figures = Object.fromEntries(
    Object.entries(FIGURES).map(([name, metric]) => [name, valueOf(metric)]),
  ) as Figures;
  // Twice the lag is to be told from twice the interval at which it is looked at.
  return { ...figures, loopLagP99Seconds: figures.loopLagP99Seconds - EVENT_LOOP_EVERY_MS / 1_000 };
}

function medians(of: readonly Figures[]): Figures {
  const median = (name: keyof Figures): number =>
    of.map((figures) => figures[name]).sort((a, b) => a - b)[Math.floor(of.length / 2)] ?? NaN;
  const names = Object.keys(FIGURES) as (keyof Figures)[];
  return Object.fromEntries(names.map((name) => [name, median(name)])) as Figures;
}
