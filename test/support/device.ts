import { waitUntil } from './wait-until.ts';
import { countLeftovers, NOTHING_LEFT } from './stored-rows.ts';
import type { PlatformDatabases } from '#dev/databases.ts';
import { missionAt, type PulledRow, type WebApp } from '#dev/web-app.ts';
import type { WrittenMission } from './granted-mission.ts';
import { fieldTimeMicros, mergeRecord } from '#domain/change-log/field-merge.ts';
import { instantMs, parseInstantMicros } from '#domain/base/instant.ts';
import { RUNNER_CLIENT_ID } from '#domain/wire/rows.ts';
import { isOurClaim } from '#domain/wire/iteration.ts';

type Fields = Readonly<Record<string, unknown>>;

/** What the user's devices see of missions, once they have pulled. */
export interface Device {
  mission(of: WrittenMission): Promise<Fields>;
  iterations(of: WrittenMission): Promise<Fields[]>;
  /** Rows that the runner wrote, oldest first. */
  ourRows(of: WrittenMission): Promise<PulledRow[]>;
  /** Those of them that say what a run came to: all but claims. */
  endRows(of: WrittenMission): Promise<PulledRow[]>;
  /** The iterations, once there are so many, none of them running, and the run that wrote the last one has forgotten everything. */
  waitForIterations(of: WrittenMission, count?: number): Promise<Fields[]>;
}

export function openDevice(webApp: WebApp, databases: PlatformDatabases): Device {
  const mission = async ({ user, missionId }: WrittenMission): Promise<Fields> =>
    (await webApp.read(user, missionAt(missionId)))?.record ?? {};
  const ourRows = async ({ user, missionId }: WrittenMission): Promise<PulledRow[]> =>
    (await webApp.rows(user, missionAt(missionId))).filter((row) => row.clientId === RUNNER_CLIENT_ID);
  const iterations = async (of: WrittenMission): Promise<Fields[]> =>
    objects((await mission(of))['iterations']);
  return {
    mission,
    iterations,
    ourRows,
    endRows: async (of) => (await ourRows(of)).filter((row) => !isClaim(row)),
    waitForIterations: async (of, count = 1) => {
      const found = await waitUntil(`${count} iterations`, async () => {
        const present = await iterations(of);
        const isUnderWay = present.some(({ overallStatus }) => overallStatus === 'running');
        return present.length >= count && !isUnderWay ? present : null;
      });
      await waitUntilForgotten(databases, of.missionId);
      return found;
    },
  };
}

/** The last thing a run does is to forget: until then the next one of the mission would find it busy. */
export const waitUntilForgotten = (databases: PlatformDatabases, missionId: string): Promise<boolean> =>
  waitUntil(`nothing is left of the runs of ${missionId}`, async () => {
    const left = await countLeftovers(databases, missionId);
    return JSON.stringify(left) === JSON.stringify(NOTHING_LEFT);
  });

/** Whether a row of ours claims an instant: it holds an iteration of ours that runs. */
const isClaim = ({ data }: Pick<PulledRow, 'data'>): boolean =>
  objects(fieldsOf(data)?.['iterations']).some(isOurClaim);

const objects = (value: unknown): Fields[] =>
  Array.isArray(value)
    ? value.filter((item): item is Fields => typeof item === 'object' && item !== null)
    : [];

const DEVICE_TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;

/**
 * What a device or mana-sync would take exception to in a row of ours (docs/platform.md section 1, "What a writer must observe",
 * and docs/platform.md section 2).
 *
 * @param earlier the mission's rows before it
 */
export function objectionsTo(row: PulledRow, earlier: readonly PulledRow[], missionId: string): string[] {
  const objections: string[] = [];
  const object = (condition: boolean, text: string): void => {
    if (condition) objections.push(text);
  };
  object(row.op !== 'update', `op: ${row.op}`);
  object(row.actor === null, 'the actor is no object');
  object(row.origin !== 'agent' && row.origin !== 'system', `origin: ${String(row.origin)}`);
  const data = fieldsOf(row.data);
  const times = fieldsOf(row.fieldMeta);
  object(data === null || times === null, 'data or field_meta is no object');
  const stored = mergeRecord(missionId, earlier);
  for (const [field, time] of Object.entries(times ?? {})) {
    object(
      typeof time !== 'string' || !DEVICE_TIME.test(time),
      `${field}: its time is no text of the one form`,
    );
    const storedMicros = stored === null ? null : fieldTimeMicros(stored, field);
    object(
      storedMicros !== null && (parseInstantMicros(time) ?? 0n) <= storedMicros,
      `${field}: the stored time is not earlier`,
    );
  }
  for (const field of Object.keys(data ?? {})) object(times?.[field] === undefined, `${field}: no time`);
  const iterations = data?.['iterations'];
  if (iterations !== undefined) {
    object(!Array.isArray(iterations), 'iterations is no list');
    object(!objects(iterations).every((each) => Array.isArray(each['plan'])), 'an iteration without a plan');
  }
  object(instantMs(row.createdAt) === null, 'created_at');
  return objections;
}

const fieldsOf = (value: unknown): Fields | null =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : null;
