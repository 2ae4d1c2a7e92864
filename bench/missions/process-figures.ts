import { EVENT_LOOP_EVERY_MS } from '#metrics/registry.ts';

/** Of a process's own `/metrics`. */
export interface ProcessFigures {
  readonly rssBytes: number;
  /** Since they were asked for last, without the interval at which the loop is looked at. */
  readonly eventLoopP99Ms: number;
}

/** @param url of the process's health server */
export async function processFigures(url: string): Promise<ProcessFigures> {
  const response = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(30_000) });
  if (!response.ok) throw new Error(`metrics: found status ${response.status}, expected 200`);
  const text = await response.text();
  return {
    rssBytes: figureIn(text, 'process_resident_memory_bytes'),
    eventLoopP99Ms: Math.max(
      0,
      figureIn(text, 'nodejs_eventloop_lag_p99_seconds') * 1_000 - EVENT_LOOP_EVERY_MS,
    ),
  };
}

/** @throws Error where the text has no such figure, without labels */
export function figureIn(text: string, name: string): number {
  const line = text.split('\n').find((each) => each.startsWith(`${name} `));
  if (line === undefined) throw new Error(`metrics: found no ${name}`);
  return Number(line.slice(name.length + 1));
}
