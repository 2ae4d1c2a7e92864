import { z } from 'zod';
import {
  EMPTY_MERGE_STATE,
  takeInRows,
  writesOfRow,
  type FieldWrite,
  type MergeState,
} from '#domain/change-log/field-merge.ts';
import { type ChangeRow, RUNNER_CLIENT_ID } from '#domain/wire/rows.ts';
import { instantMs } from '#domain/base/instant.ts';
import {
  NO_KNOWN_ITERATIONS,
  takeInIterations,
  type KnownIterations,
} from '#domain/iteration/known-iterations.ts';
import { keepFields, mergeStateJson, mergeStateSchema } from '#domain/change-log/merge-state.ts';
import { MISSION_FIELDS, snapshotOf } from './mission-snapshot.ts';
import { isObject, type StoredObject, FAILURE_CODES } from '#domain/wire/iteration.ts';
import {
  offsetShownBy,
  takeInInstant,
  UNKNOWN_OFFSET,
  type DeviceOffset,
} from '#domain/cadence/utc-offset.ts';

/** All that the projection keeps of a mission's rows, so that new ones are taken in without the old ones. */
export interface KnownMission {
  readonly merge: MergeState;
  readonly iterations: KnownIterations;
  readonly deviceOffset: DeviceOffset;
  /** The shared space that the newest row with one names. */
  readonly space: KnownSpace | null;
}

interface KnownSpace {
  readonly id: string;
  /** Of the row, ISO 8601 with microseconds. */
  readonly createdAt: string;
  readonly rowId: string;
}

export const UNKNOWN_MISSION: KnownMission = {
  merge: EMPTY_MERGE_STATE,
  iterations: NO_KNOWN_ITERATIONS,
  deviceOffset: UNKNOWN_OFFSET,
  space: null,
};

export interface TakenIn {
  readonly known: KnownMission;
  /** Whether an iteration, feedback or the state of a step may have been overwritten. */
  readonly mayNeedHealing: boolean;
  /**
   * Until when a run must have begun for the user to have asked for its end, in epoch milliseconds; null if the user did
   * not ask in these rows.
   */
  readonly cancelRequestedAtMs: number | null;
  /** The iterations that the user asked to end in these rows; a run that claimed one is meant whenever it began. */
  readonly cancelRequestedIds: readonly string[];
}

/** A row, and whether its array of iterations was too large to be read. */
export interface MissionRow extends ChangeRow {
  readonly unread?: 'nothing' | 'iterations' | 'row';
  readonly spaceId?: string | null;
}

/**
 * Takes rows in, in any order and more than once. Of an array of iterations that was not read nothing is known but that it
 * was written: what it lost is not found out.
 *
 * @param rows of one mission of one user
 */
export function takeInMissionRows(before: KnownMission, rows: readonly MissionRow[]): TakenIn {
  let known = before;
  let mayNeedHealing = false;
  let cancelRequestedAtMs: number | null = null;
  const cancelRequestedIds = new Set<string>();
  for (const row of rows) {
    const byUs = row.clientId === RUNNER_CLIENT_ID;
    const merge = takeInRows(known.merge, [row], keepFields(MISSION_FIELDS));
    let { iterations, deviceOffset } = known;
    for (const write of writesOfRow(row)) {
      if (write.field === 'iterations') {
        const wins = merge.writes.get('iterations')?.position.rowId === row.id;
        if (row.unread === 'iterations') {
          if (wins) iterations = { ...iterations, standing: [] };
        } else {
          const taken = takeInIterations(iterations, { value: write.value, byUs, wins });
          iterations = taken.known;
          mayNeedHealing ||= taken.mayNeedHealing;
        }
      }
      if (!byUs && write.field === 'nextRunAt') deviceOffset = withInstant(deviceOffset, row, merge, write);
      if (!byUs)
        for (const { id } of cancelledIn(write)) if (typeof id === 'string') cancelRequestedIds.add(id);
      const cancelledMs = byUs ? null : cancelledUntilMs(write);
      if (cancelledMs !== null)
        cancelRequestedAtMs = Math.max(cancelRequestedAtMs ?? cancelledMs, cancelledMs);
    }
    known = { merge, iterations, deviceOffset, space: newerSpace(known.space, row) };
  }
  return { known, mayNeedHealing, cancelRequestedAtMs, cancelRequestedIds: [...cancelRequestedIds] };
}

function newerSpace(
  known: KnownSpace | null,
  { id: rowId, createdAt, spaceId }: MissionRow,
): KnownSpace | null {
  if (spaceId === undefined || spaceId === null) return known;
  const isNewer =
    known === null || createdAt > known.createdAt || (createdAt === known.createdAt && rowId > known.rowId);
  return isNewer ? { id: spaceId, createdAt, rowId } : known;
}

/** How far a device's clock may be off without anybody noticing. */
const CLOCK_SKEW_MS = 60_000;

/** When a device wrote, by its own clock; but not after the row began to be stored, for that clock may lie far ahead. */
const writtenAtMs = ({ position }: FieldWrite, skewMs = 0): number =>
  Math.min(Number(position.timeMicros / 1000n) + skewMs, Number(position.createdAtMicros / 1000n));

/**
 * A wish on the mission, or on an iteration that is not finished: the web app knows both (docs/platform.md section 2). Devices
 * send the array again with every edit, so a run that a browser never finished asks for ever: it means no run that began later.
 */
function cancelledUntilMs(write: FieldWrite): number | null {
  if (write.field === 'cancelRequested' && write.value === true) return writtenAtMs(write, CLOCK_SKEW_MS);
  const startsMs = cancelledIn(write).map(
    (each) => (instantMs(each['startedAt']) ?? Infinity) + CLOCK_SKEW_MS,
  );
  if (startsMs.length === 0) return null;
  // Not as arguments: of a hundred thousand the call fails.
  const latestMs = startsMs.reduce((latest, startMs) => Math.max(latest, startMs));
  return Math.min(latestMs, writtenAtMs(write, CLOCK_SKEW_MS));
}

const cancelledIn = ({ field, value }: FieldWrite): StoredObject[] =>
  field !== 'iterations' || !Array.isArray(value)
    ? []
    : value
        .filter(isObject)
        .filter((each) => each['cancelRequested'] === true && (each['finishedAt'] ?? null) === null);

/** What a device's `nextRunAt` shows of its clock, next to the cadence that stands after this row. */
function withInstant(
  known: DeviceOffset,
  row: ChangeRow,
  merge: MergeState,
  write: FieldWrite,
): DeviceOffset {
  const nextRunAtMs = instantMs(write.value);
  const offsetMinutes =
    nextRunAtMs === null ? null : offsetShownBy(snapshotOf('', merge).cadence, nextRunAtMs);
  const shownAtMs = writtenAtMs(write);
  // The database takes no times before our era, and no device writes one.
  if (nextRunAtMs === null || offsetMinutes === null || shownAtMs < 0) return known;
  // The web app computes the instant when it creates or resumes a mission or edits its cadence.
  const isComputed = writesOfRow(row).some(({ path: [name] }) => name === 'cadence' || name === 'state');
  return takeInInstant(known, { offsetMinutes, nextRunAtMs, writtenAtMs: shownAtMs, isComputed });
}

const stepSchema = z.object({ id: z.string(), rank: z.number(), hasProposal: z.boolean() });
const iterationSchema = z.object({
  id: z.string(),
  startMs: z.number(),
  failure: z.enum(FAILURE_CODES).nullable(),
  ours: z.boolean(),
  hasFeedback: z.boolean(),
  rank: z.number(),
  steps: z.array(stepSchema),
});

/** A known mission as JSON; what does not parse is made anew from the log. */
export const knownMissionSchema: z.ZodType<KnownMission> = z.object({
  merge: mergeStateSchema,
  iterations: z.object({
    weWrote: z.boolean(),
    iterations: z.array(iterationSchema),
    standing: z.array(z.number()),
    tooMany: z.boolean().default(false),
  }),
  deviceOffset: z.object({
    offsetMinutes: z.number().nullable(),
    shownAtMs: z.number(),
    doubtful: z.object({ offsetMinutes: z.number(), nextRunAtMs: z.number() }).nullable(),
  }),
  // What an earlier version kept says nothing of it, and is made anew.
  space: z.object({ id: z.string(), createdAt: z.string(), rowId: z.string() }).nullable(),
});

/** What `knownMissionSchema` reads. */
export const knownMissionJson = ({ merge, ...rest }: KnownMission) => ({
  merge: mergeStateJson(merge),
  ...rest,
});
