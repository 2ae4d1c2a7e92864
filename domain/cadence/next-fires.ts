import { nextCadenceInstant } from './cadence.ts';
import { missionScheduleSpec, type MissionTiming } from './schedule-spec.ts';

/** As many as the web app shows. */
const SHOWN = 5;

/**
 * When a mission will next run by itself: the instants that the web app shows, so `nextRunAt` first, then the cadence
 * after it, each local time once (docs/platform.md section 2). Without jitter, and with the milliseconds of `nextRunAt`, which
 * its schedule rounds up. A `nextRunAt` that has passed is due now and no longer ahead.
 *
 * @param nowMs epoch milliseconds
 * @returns epoch milliseconds, ascending, all after `nowMs`; empty where nothing fires (see `missionScheduleSpec`)
 * @throws RangeError if a wall-clock cadence meets an unknown time zone
 */
export function nextFires(timing: MissionTiming, nowMs: number, count = SHOWN): number[] {
  if (missionScheduleSpec(timing) === null) return [];
  const { cadence, nextRunAtMs, timeZone } = timing;
  const fires: number[] = nextRunAtMs !== null && nextRunAtMs > nowMs ? [nextRunAtMs] : [];
  while (fires.length < count) {
    const afterMs = fires.at(-1) ?? nowMs;
    const next = nextCadenceInstant({ cadence, anchorMs: nextRunAtMs ?? nowMs, afterMs, timeZone });
    if (next === null) break;
    fires.push(next);
  }
  return fires;
}
