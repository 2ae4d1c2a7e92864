import { Runtime } from '@temporalio/worker';
import { afterEach, expect, it, vi } from 'vitest';
import { installRuntime } from './temporal-metrics.ts';
import { createTemporalLogger } from './temporal-logger.ts';
import { createLogger } from '#logging/logger.ts';

afterEach(() => vi.restoreAllMocks());

it("the SDK's logger does not wake an idle process more than once a second", async () => {
  const { setInterval } = globalThis;
  const intervals = vi.spyOn(globalThis, 'setInterval');
  const logger = createTemporalLogger(createLogger('test', 'info', { write: () => undefined }));
  await installRuntime({ logger, telemetryOptions: { logging: { forward: {} } }, shutdownSignals: [] });
  try {
    expect(intervals.mock.calls.map(([, everyMs]) => everyMs)).toEqual([1_000]);
    vi.restoreAllMocks();
    expect(globalThis.setInterval).toBe(setInterval);
  } finally {
    await Runtime.instance().shutdown();
  }
});
