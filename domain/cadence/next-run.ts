import { nextCadenceInstant } from './cadence.ts';
import { formatInstant, instantMs } from '#domain/base/instant.ts';
import type { Mission } from '#domain/wire/mission.ts';
import { zonedCadence } from './zoned-cadence.ts';

/**
 * The `nextRunAt` to write after a run (docs/architecture.md section 4, point 5).
 *
 * @param timeZone IANA name, or null where the user never named one
 * @returns undefined where the stored one stands: it lies ahead (the user moved it meanwhile, or ran the mission by
 *   hand), or there is nothing to compute one from. A manual mission has none (docs/platform.md section 2); one that was set by
 *   hand is cleared once it has passed, or the mission would be due for ever.
 */
export function nextRunAtAfter(
  mission: Pick<Mission, 'cadence' | 'nextRunAt'>,
  nowMs: number,
  timeZone: string | null,
): string | null | undefined {
  const storedMs = instantMs(mission.nextRunAt);
  if (storedMs !== null && storedMs > nowMs) return undefined;
  if (mission.cadence?.kind === 'manual') return storedMs === null ? undefined : null;
  if (mission.cadence === null) return undefined;
  if (storedMs === null && mission.cadence.kind !== 'cron') return undefined;
  const next = nextCadenceInstant({
    ...zonedCadence(mission.cadence, timeZone),
    anchorMs: storedMs ?? nowMs,
    afterMs: nowMs,
  });
  return next === null ? undefined : formatInstant(next);
}
