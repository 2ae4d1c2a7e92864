import { Counter, Gauge, Histogram } from 'prom-client';
import { registry } from './registry.ts';

/** What a reconcile found wrong and mended; `failed`: could not be mended. */
const DRIFTS = [
  'created',
  'updated',
  'reencrypted',
  'moved',
  'removed',
  'duplicatesRemoved',
  'failed',
] as const;

const lags = new Histogram({
  name: 'mana_projection_lag_seconds',
  help: 'From the time that a row of the change log bears until the projection took it in; a first build takes in old rows.',
  buckets: [0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 7_200, 90_000],
  registers: [registry],
});
const passes = new Counter({
  name: 'mana_projection_passes_total',
  help: 'How often this process read the change log to the end of a page; one of several processes follows it.',
  registers: [registry],
});
const drift = new Counter({
  name: 'mana_schedules_mended_total',
  help: 'Schedules that a reconcile found wrong, by what it did; failed = could not be mended.',
  labelNames: ['change'],
  registers: [registry],
});
const lastReconcile = new Gauge({
  name: 'mana_schedules_last_reconcile_timestamp_seconds',
  help: 'When this process last compared all missions with all schedules; 0 = not yet.',
  registers: [registry],
});

// A series that appears with its first event hides that event from `increase()`.
for (const change of DRIFTS) drift.inc({ change }, 0);

/** @param createdAt ISO 8601, of the row */
export const observeProjected = (createdAt: string, nowMs: number): void =>
  lags.observe(Math.max(0, nowMs - Date.parse(createdAt)) / 1_000);

export const countPass = (): void => passes.inc();

export function reportReconcile(
  counts: Readonly<Record<(typeof DRIFTS)[number], number>>,
  nowMs: number,
): void {
  for (const change of DRIFTS) drift.inc({ change }, counts[change]);
  lastReconcile.set(nowMs / 1_000);
}
