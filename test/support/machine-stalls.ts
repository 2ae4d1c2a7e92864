import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const EVERY_MS = 50;
/** What a busy machine takes to wake somebody. */
const ORDINARY_MS = 250;

/**
 * Does `work` and sees for how long, in ms, the machine itself stood still meanwhile: it sleeps and writes a small file in turns, which
 * needs nothing that the service could keep from it. Promises about time are the service's, not those of a machine whose
 * disk or processors pause.
 */
export async function seeingStalls<T>(
  work: () => Promise<T>,
): Promise<{ readonly result: T; readonly stalledMs: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'stalls-'));
  let stalledMs = 0;
  let isOver = false;
  const watch = async (): Promise<void> => {
    while (!isOver) {
      const sinceMs = performance.now();
      writeFileSync(join(folder, 'beat'), 'x'.repeat(4_096));
      await delay(EVERY_MS);
      const overMs = performance.now() - sinceMs - EVERY_MS;
      if (overMs > ORDINARY_MS) stalledMs += overMs;
    }
  };
  const watching = watch();
  try {
    const result = await work();
    return { result, stalledMs: Math.round(stalledMs) };
  } finally {
    isOver = true;
    await watching;
    rmSync(folder, { recursive: true });
  }
}
