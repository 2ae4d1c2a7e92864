import type { Table } from './results/result.ts';

/** Something to be timed; its name is what the table shows. */
export interface Variant {
  readonly name: string;
  /** Before each sample; its time does not count. */
  readonly prepare?: () => unknown;
  readonly run: () => unknown;
  /** After each sample, likewise. */
  readonly cleanUp?: () => unknown;
}

export interface Timing {
  readonly name: string;
  readonly leastMs: number;
  readonly medianMs: number;
  readonly mostMs: number;
  readonly p99Ms: number;
  readonly samples: number;
}

/**
 * Times variants in turns, one sample of each after the other, so that a change of the machine's load hits all alike.
 *
 * @param warmUps turns that do not count
 */
export async function measure(
  variants: readonly Variant[],
  { samples, warmUps }: { readonly samples: number; readonly warmUps: number },
): Promise<Timing[]> {
  const times = variants.map((): number[] => []);
  for (let turn = -warmUps; turn < samples; turn += 1) {
    // Each turn starts with another one: what follows the slowest variant finds other caches.
    for (let position = 0; position < variants.length; position += 1) {
      const index = (position + turn + warmUps) % variants.length;
      const variant = variants[index];
      if (variant === undefined) continue;
      await variant.prepare?.();
      const startedMs = performance.now();
      await variant.run();
      if (turn >= 0) times[index]?.push(performance.now() - startedMs);
      await variant.cleanUp?.();
    }
  }
  return variants.map(({ name }, index) => timingOf(name, times[index] ?? []));
}

function timingOf(name: string, times: readonly number[]): Timing {
  const [leastMs, medianMs, p99Ms, mostMs] = [0, 0.5, 0.99, 1].map((share) => quantile(times, share));
  return { name, leastMs, medianMs, mostMs, p99Ms, samples: times.length } as Timing;
}

/** The smallest value that at least this share of the values does not exceed; NaN of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

/** Each turn starts with another one: what follows the slowest finds other caches. */
export const inTurn = <T>(items: readonly T[], turn: number): T[] => [
  ...items.slice(turn % items.length),
  ...items.slice(0, turn % items.length),
];

/** How many calls a second, with so many under way at a time. */
export async function throughput(
  run: () => Promise<unknown>,
  { calls, concurrency }: { readonly calls: number; readonly concurrency: number },
): Promise<number> {
  let left = calls;
  const work = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await run();
    }
  };
  const startedMs = performance.now();
  await Promise.all(Array.from({ length: concurrency }, work));
  return calls / ((performance.now() - startedMs) / 1000);
}

/** Ratios are those of the medians, to the variants named first. */
export function timingTable(title: string, timings: readonly Timing[], baselines: readonly string[]): Table {
  const medianOf = (name: string): number => timings.find((each) => each.name === name)?.medianMs ?? NaN;
  return {
    title,
    header: [
      ...['what', 'least / median / most (ms)', 'p99 (ms)', 'samples'],
      ...baselines.map((name) => `ratio to: ${name}`),
    ],
    rows: timings.map(({ name, leastMs, medianMs, mostMs, p99Ms, samples }) => [
      ...[name, [leastMs, medianMs, mostMs], p99Ms, samples],
      ...baselines.map((baseline) => medianMs / medianOf(baseline)),
    ]),
  };
}
