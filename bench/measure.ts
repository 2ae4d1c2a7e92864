import { cpus, loadavg, totalmem } from 'node:os';

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
  readonly medianMs: number;
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
  return { name, medianMs: quantile(times, 0.5), p99Ms: quantile(times, 0.99), samples: times.length };
}

/** The smallest value that at least this share of the values does not exceed; NaN of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

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

const milliseconds = (value: number): string => value.toFixed(value < 1 ? 3 : 2);

/** A table in Markdown; ratios are those of the medians, to the variants named first. */
export function table(title: string, timings: readonly Timing[], baselines: readonly string[]): string {
  const header = [
    'what',
    'median (ms)',
    'p99 (ms)',
    'samples',
    ...baselines.map((name) => `ratio to: ${name}`),
  ];
  const ratio = (timing: Timing, name: string): string => {
    const baseline = timings.find((each) => each.name === name);
    return baseline === undefined ? '' : (timing.medianMs / baseline.medianMs).toFixed(2);
  };
  const rows = timings.map((timing) => [
    timing.name,
    milliseconds(timing.medianMs),
    milliseconds(timing.p99Ms),
    String(timing.samples),
    ...baselines.map((name) => ratio(timing, name)),
  ]);
  return plainTable(title, header, rows);
}

/** Any table in Markdown. */
export function plainTable(
  title: string,
  header: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [`### ${title}`, '', line(header), line(header.map(() => '---')), ...rows.map(line), ''].join('\n');
}

/** The machine and how busy it was: numbers without these say nothing. */
export function machine(): string {
  const [processor] = cpus();
  const load = loadavg().map((value) => value.toFixed(2));
  return [
    `Node ${process.version}`,
    `${cpus().length} × ${processor?.model.trim() ?? 'unknown processor'}`,
    `${Math.round(totalmem() / 2 ** 30)} GiB`,
    `load ${load.join(', ')} (1, 5, 15 min)`,
  ].join(', ');
}
