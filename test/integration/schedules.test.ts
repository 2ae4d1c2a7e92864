import { Client, type ScheduleDescription } from '@temporalio/client';
import { TypedSearchAttributes } from '@temporalio/common';
import { msToTs, tsToMs } from '@temporalio/common/lib/time.js';
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { isAtHour, nextCadenceInstant } from '#domain/cadence/cadence.ts';
import type { Cadence } from '#domain/wire/mission.ts';
import { TemporalUnavailableError } from '#domain/base/errors.ts';
import {
  missionScheduleSpec,
  nextFireMs,
  wouldFireNextAt,
  type MissionScheduleSpec,
  type MissionTiming,
} from '#domain/cadence/schedule-spec.ts';
import {
  createMissionSchedules,
  type ListedSchedule,
  type MissionSchedules,
} from '#schedules/mission-schedules.ts';
import { scheduleHash, toScheduleRequest, type MissionScheduleTarget } from '#schedules/schedule-request.ts';
import { dueWorkflowId, missionScheduleId } from '#schedules/schedule-ids.ts';
import { isRunOpen } from '#runs/open-runs.ts';
import { cancelRun } from '#runs/cancel-run.ts';
import { ensureSystemSchedule, RECONCILE_SCHEDULE, SWEEP_SCHEDULE } from '#schedules/system-schedules.ts';
import { runProjectionPass } from '#schedules/system-workflows.ts';
import { isTemporalUnavailable } from '#temporal/grpc-status.ts';
import { connectClient, type ConnectedClient } from '#temporal/connection.ts';
import { createDataConverter } from '#temporal/data-converter.ts';
import { MISSION_SEARCH_ATTRIBUTES } from '#temporal/search-attributes.ts';
import { waitUntil } from '#test/support/wait-until.ts';

const DAY_MS = 86_400_000;
const dailyAt8: Cadence = { kind: 'daily', atHour: 8, atMinute: 0 };
const every45: Cadence = { kind: 'interval', everyMinutes: 45 };

let connected: ConnectedClient;
let client: Client;
let schedules: MissionSchedules;
let created: MissionScheduleTarget[] = [];
/** Nobody polls it: runs stay open until they are terminated. */
const taskQueue = `nobody-${randomUUID()}`;

beforeAll(async () => {
  const dataConverter = createDataConverter({
    primaryKeyId: 'test',
    keys: new Map([['test', Buffer.alloc(32, 7)]]),
  });
  connected = await connectClient(
    { address: inject('temporalAddress'), namespace: 'default' },
    dataConverter,
  );
  client = connected.client;
  schedules = createMissionSchedules({ client, taskQueue });
});
afterAll(async () => {
  await connected.close();
});
afterEach(async () => {
  for (const { userId, missionId } of created) await schedules.remove(userId, missionId);
  created = [];
});

/** What `ensure` stores with a schedule. */
const hashOf = (target: MissionScheduleTarget): string =>
  scheduleHash(target, { taskQueue, catchupWindowMs: 600_000, codecKeyId: 'test' });

function specOf(timing: MissionTiming): MissionScheduleSpec {
  const spec = missionScheduleSpec(timing);
  if (spec === null) throw new Error('no spec');
  return spec;
}

/** A mission of a new user; its schedule is removed after the test. */
function mission(
  timing: Partial<MissionTiming>,
  ids: Partial<MissionScheduleTarget> = {},
): MissionScheduleTarget {
  const nextRunAtMs = Date.now() + DAY_MS;
  const spec = specOf({ cadence: every45, nextRunAtMs, timeZone: 'Europe/Berlin', ...timing });
  const made = {
    userId: randomUUID(),
    missionId: randomUUID(),
    agentId: 'agent-1',
    spec,
    ...ids,
  };
  created.push(made);
  return made;
}

const handleOf = ({ userId, missionId }: MissionScheduleTarget) =>
  client.schedule.getHandle(missionScheduleId(userId, missionId));

/** The search attributes that the schedule gives its runs. */
const attributesOf = ({
  typedSearchAttributes: given,
}: ScheduleDescription['action']): TypedSearchAttributes =>
  given instanceof TypedSearchAttributes ? given : new TypedSearchAttributes(given);

async function terminate(workflowId: string): Promise<void> {
  await client.workflow.getHandle(workflowId).terminate('end of the test');
}

async function listed(wanted: MissionScheduleTarget): Promise<ListedSchedule | undefined> {
  for await (const found of schedules.list()) {
    if (found.scheduleId === missionScheduleId(wanted.userId, wanted.missionId)) return found;
  }
  return undefined;
}

/** What the server says when a schedule fires, jitter included. */
async function serverTimes(wanted: MissionScheduleTarget, fromMs: number, toMs: number): Promise<number[]> {
  const { startTime } = await client.workflowService.listScheduleMatchingTimes({
    namespace: 'default',
    scheduleId: missionScheduleId(wanted.userId, wanted.missionId),
    startTime: msToTs(fromMs),
    endTime: msToTs(toMs),
  });
  return startTime.map(tsToMs);
}

describe('ensure', () => {
  it('a new schedule fires at nextRunAt rounded up to the second, then on its grid', async () => {
    const firstMs = Math.ceil((Date.now() + 3_600_000) / 1000) * 1000;
    const wanted = mission({ nextRunAtMs: firstMs - 877 });
    expect(await schedules.ensure(wanted)).toBe('created');
    const { info, policies } = await handleOf(wanted).describe();
    const expected = [0, 1, 2].map((step) => new Date(firstMs + step * 45 * 60_000));
    expect(info.nextActionTimes.slice(0, 3)).toEqual(expected);
    expect(policies).toMatchObject({ overlap: 'SKIP', catchupWindow: 600_000 });
  });

  it('the run starts in that very second, under the id of the schedule and with search attributes', async () => {
    const firstMs = Math.ceil((Date.now() + 1_500) / 1000) * 1000;
    const wanted = mission({ nextRunAtMs: firstMs - 123 });
    await schedules.ensure(wanted);
    const action = await waitUntil('the schedule has fired', async () => {
      const { info } = await handleOf(wanted).describe();
      return info.recentActions[0];
    });
    const { workflowId } = action.action.workflow;
    await terminate(workflowId);
    expect(action.scheduledAt).toEqual(new Date(firstMs));
    expect(workflowId).toBe(
      `${missionScheduleId(wanted.userId, wanted.missionId)}-${new Date(firstMs).toISOString().replace('.000', '')}`,
    );
    const { typedSearchAttributes, type } = await client.workflow.getHandle(workflowId).describe();
    expect(type).toBe('missionRun');
    const { userId, missionId, agentId, trigger, specHash } = MISSION_SEARCH_ATTRIBUTES;
    expect(
      [userId, missionId, agentId, trigger, specHash].map((key) => typedSearchAttributes.get(key)),
    ).toEqual([wanted.userId, wanted.missionId, 'agent-1', 'schedule', hashOf(wanted)]);
  });

  it('the same again sends no update', async () => {
    const wanted = mission({ cadence: dailyAt8 });
    await schedules.ensure(wanted);
    expect(await schedules.ensure(wanted)).toBe('unchanged');
    expect((await handleOf(wanted).describe()).info.lastUpdatedAt).toBeUndefined();
  });

  it('another spec replaces all of the old one, another agent changes what runs are marked with', async () => {
    const wanted = mission({ cadence: dailyAt8 });
    await schedules.ensure(wanted);
    const later = { ...wanted, spec: mission({ nextRunAtMs: Date.now() + 2 * DAY_MS }).spec };
    expect(await schedules.ensure(later)).toBe('updated');
    const { spec, info } = await handleOf(wanted).describe();
    expect(spec).toMatchObject({ calendars: [], jitter: 0 });
    expect(spec.intervals).toHaveLength(1);
    expect(info.nextActionTimes[0]?.getTime()).toBe(later.spec.startAtMs);

    expect(await schedules.ensure({ ...later, agentId: null })).toBe('updated');
    const { action } = await handleOf(wanted).describe();
    expect(attributesOf(action).get(MISSION_SEARCH_ATTRIBUTES.agentId)).toBeUndefined();
    expect(action.args).toEqual([
      { userId: wanted.userId, missionId: wanted.missionId, trigger: 'schedule' },
    ]);
  });

  it("an operator's pause and note survive updates", async () => {
    const wanted = mission({});
    const later = { ...wanted, spec: mission({ nextRunAtMs: Date.now() + 2 * DAY_MS }).spec };
    await schedules.ensure(wanted);
    const { userId, missionId } = wanted;
    expect(await schedules.pauseOf(userId, missionId)).toEqual({
      paused: false,
      note: '',
    });
    expect(await schedules.holdsBack(userId, missionId)).toBe(false);
    await handleOf(wanted).pause('looking into it');
    expect(await schedules.pauseOf(userId, missionId)).toEqual({
      ...{ paused: true, note: 'looking into it' },
    });
    expect(await schedules.holdsBack(userId, missionId)).toBe(true);
    expect(await schedules.ensure(later)).toBe('updated');
    expect((await handleOf(wanted).describe()).state).toMatchObject({
      paused: true,
      note: 'looking into it',
    });
    expect(await schedules.ensure(later)).toBe('unchanged');

    await handleOf(wanted).unpause('all is well');
    expect(await schedules.ensure(wanted)).toBe('updated');
    expect((await handleOf(wanted).describe()).state).toMatchObject({ paused: false, note: 'all is well' });
  });

  it('a limit that an operator set is carried over', async () => {
    const wanted = mission({});
    await schedules.ensure(wanted);
    await handleOf(wanted).update((previous) => ({ ...previous, state: { remainingActions: 3 } }));
    await schedules.ensure({ ...wanted, agentId: null });
    expect((await handleOf(wanted).describe()).state.remainingActions).toBe(3);
  });

  it('many at once leave one schedule that is wholly what one of them wanted', async () => {
    const first = mission({});
    const others = [2, 3, 4].map((days) => ({
      ...first,
      spec: specOf({ cadence: dailyAt8, nextRunAtMs: Date.now() + days * DAY_MS, timeZone: 'UTC' }),
    }));
    const wanted = [first, ...others];
    const results = await Promise.all(wanted.map((one) => schedules.ensure(one)));
    expect(results.filter((result) => result === 'created')).toHaveLength(1);
    const { spec, action } = await handleOf(first).describe();
    const hash = attributesOf(action).get(MISSION_SEARCH_ATTRIBUTES.specHash);
    const winner = wanted.find((one) => hashOf(one) === hash);
    expect(spec.startAt?.getTime()).toBe(winner?.spec.startAtMs);
    expect(spec.calendars).toHaveLength(winner?.spec.calendars.length ?? NaN);
    const wins = winner === undefined ? '' : schedules.fingerprintOf(winner);
    await waitUntil('the list shows that one', async () => (await listed(first))?.fingerprint === wins);
  });

  it('ids with odd characters or of absurd length are schedules like others, and never one another', async () => {
    const pairs = [
      ['a:b', 'c'],
      ['a', 'b:c'],
      ['ü 🎈/%2F"\'\\', "x' OR '1'='1"],
      ['u'.repeat(3_000), '🎈'.repeat(2_000)],
    ].map(([user = '', id = '']) => [`${user}${randomUUID()}`, id] as const);
    for (const [userId, missionId] of pairs) {
      const wanted = mission({}, { userId, missionId, agentId: missionId });
      expect(await schedules.ensure(wanted)).toBe('created');
      expect(await schedules.ensure({ ...wanted, agentId: null })).toBe('updated');
      expect((await handleOf(wanted).describe()).action.args).toEqual([
        { userId, missionId, trigger: 'schedule' },
      ]);
      const found = await waitUntil('it is listed', () => listed(wanted));
      expect(userId.startsWith(found.userId)).toBe(true);
    }
  });

  it('what the server stores of the input is ciphertext', async () => {
    const wanted = mission({});
    await schedules.ensure(wanted);
    const raw = await client.workflowService.describeSchedule({
      namespace: 'default',
      scheduleId: missionScheduleId(wanted.userId, wanted.missionId),
    });
    const stored = raw.schedule?.action?.startWorkflow?.input?.payloads?.[0];
    expect(Buffer.from(stored?.metadata?.['encoding'] ?? []).toString()).toBe('binary/encrypted');
    expect(Buffer.from(stored?.data ?? []).includes(wanted.missionId)).toBe(false);
  });
});

describe('a first schedule', () => {
  /** How often the server was asked for each. */
  async function callsOf(work: () => Promise<unknown>): Promise<Readonly<Record<string, number>>> {
    const names = ['createSchedule', 'describeSchedule', 'updateSchedule', 'deleteSchedule'] as const;
    const spies = names.map((name) => [name, vi.spyOn(client.workflowService, name)] as const);
    try {
      await work();
      return Object.fromEntries(spies.map(([name, spy]) => [name, spy.mock.calls.length]));
    } finally {
      for (const [, spy] of spies) spy.mockRestore();
    }
  }
  const NONE = { createSchedule: 0, describeSchedule: 0, updateSchedule: 0, deleteSchedule: 0 };
  const first = (wanted: MissionScheduleTarget) => schedules.ensure(wanted, { isFirst: true });

  it('is made by one call, without being looked for', async () => {
    const wanted = mission({});
    expect(await callsOf(async () => expect(await first(wanted)).toBe('created'))).toEqual({
      ...NONE,
      createSchedule: 1,
    });
    const { action } = await handleOf(wanted).describe();
    expect(attributesOf(action).get(MISSION_SEARCH_ATTRIBUTES.specHash)).toBe(hashOf(wanted));
  });

  it('that exists already is looked at and left alone', async () => {
    const wanted = mission({});
    await schedules.ensure(wanted);
    expect(await callsOf(async () => expect(await first(wanted)).toBe('unchanged'))).toEqual({
      ...NONE,
      ...{ createSchedule: 1, describeSchedule: 1 },
    });
  });

  it('that exists already as another is updated, pause and note kept', async () => {
    const wanted = mission({});
    await schedules.ensure(wanted);
    await handleOf(wanted).pause('looking into it');
    const later = { ...wanted, spec: mission({ nextRunAtMs: Date.now() + 2 * DAY_MS }).spec };
    const { deleteSchedule, ...calls } = await callsOf(async () => {
      expect(await first(later)).toBe('updated');
    });
    expect(deleteSchedule).toBe(0);
    // What follows an update is looked at until it is seen.
    expect(calls).toMatchObject({ createSchedule: 1, updateSchedule: 1 });
    const { state, info } = await handleOf(wanted).describe();
    expect(state).toMatchObject({ paused: true, note: 'looking into it' });
    expect(info.nextActionTimes[0]?.getTime()).toBe(later.spec.startAtMs);
  });

  it('is not made where that is no longer wanted, and two at once make one', async () => {
    const wanted = mission({});
    const unwanted = { isFirst: true, mayCreate: () => Promise.resolve(false) };
    expect(await callsOf(() => schedules.ensure(wanted, unwanted))).toEqual(NONE);
    expect((await Promise.all([first(wanted), first(wanted)])).sort()).toEqual(['created', 'unchanged']);
  });
});

describe('another first codec key', () => {
  const oldKey = ['test', Buffer.alloc(32, 7)] as const;
  const newKey = ['renewed', Buffer.alloc(32, 8)] as const;
  const under = (...keys: (readonly [string, Buffer])[]): MissionSchedules =>
    createMissionSchedules({
      client: new Client({
        connection: connected.client.connection,
        dataConverter: createDataConverter({ primaryKeyId: keys[0]?.[0] ?? '', keys: new Map(keys) }),
      }),
      taskQueue,
    });
  const storedKeyIdOf = async (wanted: MissionScheduleTarget): Promise<string> => {
    const { schedule } = await client.workflowService.describeSchedule({
      namespace: 'default',
      scheduleId: missionScheduleId(wanted.userId, wanted.missionId),
    });
    const stored = schedule?.action?.startWorkflow?.input?.payloads?.[0];
    return Buffer.from(stored?.metadata?.['encryption-key-id'] ?? []).toString();
  };

  it('makes the same schedule one to be encrypted anew, pause and note kept; with another spec it is an update', async () => {
    const wanted = mission({});
    await schedules.ensure(wanted);
    await handleOf(wanted).pause('looking into it');
    const renewed = under(newKey, oldKey);
    expect(await storedKeyIdOf(wanted)).toBe('test');
    expect(await renewed.ensure(wanted)).toBe('reencrypted');
    expect(await storedKeyIdOf(wanted)).toBe('renewed');
    expect(await renewed.ensure(wanted)).toBe('unchanged');
    expect(await renewed.pauseOf(wanted.userId, wanted.missionId)).toEqual({
      ...{ paused: true, note: 'looking into it' },
    });
    // Back again, as a process does that still has the old order; here with another spec.
    expect(await schedules.ensure({ ...wanted, agentId: null })).toBe('updated');
    expect(await storedKeyIdOf(wanted)).toBe('test');
  });

  it('shows in the list, and needs the old key for nothing', async () => {
    const wanted = mission({});
    await schedules.ensure(wanted);
    const renewed = under(newKey);
    const listedBy = async (by: MissionSchedules): Promise<ListedSchedule | undefined> => {
      for await (const found of by.list())
        if (found.scheduleId === missionScheduleId(wanted.userId, wanted.missionId)) return found;
      return undefined;
    };
    const before = await waitUntil('it is listed', () => listedBy(renewed));
    expect(before.isUnderFirstKey).toBe(false);
    expect(before.fingerprint).not.toBe(renewed.fingerprintOf(wanted));
    expect(await renewed.ensure(wanted)).toBe('reencrypted');
    await waitUntil('the list shows the new key', async () => (await listedBy(renewed))?.isUnderFirstKey);
    expect((await listedBy(renewed))?.fingerprint).toBe(renewed.fingerprintOf(wanted));
  });

  it('a schedule of a version that noted no key is encrypted anew once', async () => {
    const wanted = mission({});
    const settings = { taskQueue, catchupWindowMs: 600_000, codecKeyId: null };
    const scheduleId = missionScheduleId(wanted.userId, wanted.missionId);
    await client.schedule.create({ ...toScheduleRequest(wanted, settings), scheduleId });
    expect((await waitUntil('it is listed', () => listed(wanted))).isUnderFirstKey).toBe(false);
    expect(await schedules.ensure(wanted)).toBe('reencrypted');
    expect(await schedules.ensure(wanted)).toBe('unchanged');
  });

  it.each([RECONCILE_SCHEDULE, SWEEP_SCHEDULE])(
    'changes nothing about $id, which has no input',
    async (system) => {
      await ensureSystemSchedule(client, system);
      const { schedule } = await client.workflowService.describeSchedule({
        namespace: 'default',
        scheduleId: system.id,
      });
      await client.schedule.getHandle(system.id).delete();
      expect(schedule?.action?.startWorkflow?.workflowType?.name).toBe(system.workflowType);
      expect(schedule?.action?.startWorkflow?.input?.payloads ?? []).toEqual([]);
      expect(schedule?.action?.startWorkflow?.memo?.fields ?? {}).toEqual({});
    },
  );
});

describe('remove and list', () => {
  it('a schedule is listed with its hash and pause until it is removed', async () => {
    const wanted = mission({});
    await schedules.ensure(wanted);
    await handleOf(wanted).pause();
    expect(
      await waitUntil('it is listed as paused', async () => {
        const found = await listed(wanted);
        return found?.paused === true && found;
      }),
    ).toEqual({
      namespace: 'default',
      scheduleId: missionScheduleId(wanted.userId, wanted.missionId),
      userId: wanted.userId,
      missionId: wanted.missionId,
      fingerprint: schedules.fingerprintOf(wanted),
      isUnderFirstKey: true,
      paused: true,
    });
    expect(await schedules.remove(wanted.userId, wanted.missionId)).toBe(true);
    expect(await schedules.remove(wanted.userId, wanted.missionId)).toBe(false);
    await waitUntil('it is gone from the list', async () => (await listed(wanted)) === undefined);
    expect(await schedules.ensure(wanted)).toBe('created');
  });
});

describe('startDue', () => {
  it('twice at once for one instant is one run, and other instants are other runs', async () => {
    const run = {
      userId: randomUUID(),
      missionId: randomUUID(),
      agentId: null,
      instantMs: Date.now() - 60_000,
    } as const;
    const results = await Promise.all([schedules.startDue(run), schedules.startDue(run)]);
    expect(results.sort()).toEqual(['already-started', 'started']);
    expect(await schedules.startDue(run)).toBe('already-started');
    expect(await schedules.startDue({ ...run, instantMs: run.instantMs + 1 })).toBe('started');

    const id = dueWorkflowId(run.userId, run.missionId, run.instantMs);
    const { typedSearchAttributes } = await client.workflow.getHandle(id).describe();
    expect(typedSearchAttributes.get(MISSION_SEARCH_ATTRIBUTES.trigger)).toBe('projection');
    await terminate(id);
    expect(await schedules.startDue(run)).toBe('started');
    await terminate(id);
    await terminate(dueWorkflowId(run.userId, run.missionId, run.instantMs + 1));
  });
});

describe('runProjectionPass', () => {
  it('is given up at its deadline where no projection works, as if Temporal did not answer', async () => {
    const failure: unknown = await runProjectionPass(client, 1_500).catch((error: unknown) => error);
    await terminate('projection-pass');
    expect(isTemporalUnavailable(failure)).toBe(true);
  });
});

describe('our idea of when a schedule fires, against the server', () => {
  it.each<[string, Cadence]>([
    ['interval', { kind: 'interval', everyMinutes: 487 }],
    ['daily', { kind: 'daily', atHour: 23, atMinute: 59 }],
    ['weekly', { kind: 'weekly', dayOfWeek: 0, atHour: 0 }],
    ['weekdays', { kind: 'cron', expression: '*/20 8-9 * * MON-FRI' }],
    ['either day', { kind: 'cron', expression: '0 8 13,31 * FRI-SUN' }],
    ['leap day', { kind: 'cron', expression: '0 0 29 2 *' }],
    ['months by name', { kind: 'cron', expression: '5 4 */9 JAN,jun-AUG *' }],
  ])('%s: equal for months in a zone without clock changes', async (_, cadence) => {
    const nextRunAtMs = Date.parse('2026-12-01T07:00:00.250Z');
    const wanted = mission({ cadence, nextRunAtMs, timeZone: 'Asia/Kolkata' });
    await schedules.ensure(wanted);
    const toMs = Date.parse(cadence.kind === 'cron' ? '2028-03-02T00:00:00Z' : '2027-04-01T00:00:00Z');
    const times = (await serverTimes(wanted, nextRunAtMs - DAY_MS, toMs)).slice(0, 150);
    const ours: number[] = [];
    for (let after = nextRunAtMs - DAY_MS; ours.length < times.length; after = ours.at(-1) ?? NaN) {
      ours.push(nextFireMs(wanted.spec, after) ?? NaN);
    }
    expect(times[0]).toBe(nextRunAtMs + 750);
    expect(ours).toEqual(times);
  });

  it.each([
    ['Europe/Berlin', 1, 30],
    ['Europe/Berlin', 2, 30],
    ['Europe/Berlin', 3, 30],
    ['America/New_York', 1, 30],
    ['America/New_York', 2, 30],
    ['Australia/Lord_Howe', 1, 45],
    ['Australia/Lord_Howe', 2, 15],
  ])(
    '%s at %d:%d: where no update is sent over a year, the old schedule fires as needed',
    async (timeZone, h, m) => {
      const cadence: Cadence = { kind: 'daily', atHour: h, atMinute: m };
      const fromMs = Date.parse('2026-02-20T00:00:00Z');
      const next = (afterMs: number): number =>
        nextCadenceInstant({ cadence, anchorMs: 0, afterMs, timeZone }) ?? NaN;
      const present = { cadence, timeZone, nextRunAtMs: next(fromMs) };
      // Without jitter, which the server would show.
      const wanted = mission({}, { spec: { ...specOf(present), jitterMs: 0 } });
      await schedules.ensure(wanted);
      const times = await serverTimes(wanted, fromMs, fromMs + 365 * DAY_MS);
      let updates = 0;
      for (let day = 0, ranMs = present.nextRunAtMs; day < 350; day += 1) {
        const desired = { ...present, nextRunAtMs: next(ranMs) };
        const nowMs = ranMs + 30_000;
        if (wouldFireNextAt(present, desired, nowMs)) {
          expect(times.find((time) => time > nowMs)).toBe(desired.nextRunAtMs);
        } else {
          updates += 1;
        }
        ranMs = desired.nextRunAtMs;
      }
      expect(updates).toBeGreaterThan(0);
      expect(updates).toBeLessThan(12);
    },
  );
});

describe('followsZone', () => {
  it.each([
    ['Europe/Berlin', true],
    ['America/New_York', true],
    ['UTC', true],
    // Refused by the server, known to Node.
    ['Canada/East-Saskatchewan', false],
    ['US/Pacific-New', false],
  ])('%s: %s', async (timeZone, expected) => {
    expect(await schedules.followsZone(timeZone)).toBe(expected);
  });

  it('a zone of which the two databases have other rules is not followed, and the comparison leaves nothing behind', async () => {
    const differing = ['America/Vancouver', 'Africa/Casablanca'];
    const answers = await Promise.all(differing.map((zone) => schedules.followsZone(zone)));
    for (const [index, zone] of differing.entries()) {
      const fires = await serverTimes(zone);
      const agree = fires.every((ms) => isAtHour(ms, zone, [9]));
      expect(answers[index]).toBe(agree);
    }
    const left = [];
    for await (const { scheduleId } of client.schedule.list())
      if (scheduleId.startsWith('mana:zone:')) left.push(scheduleId);
    expect(left).toEqual([]);
  });

  /** Every ninth hour of the next year, as the server sees it. */
  async function serverTimes(timezone: string): Promise<number[]> {
    const scheduleId = `times-${randomUUID()}`;
    const handle = await client.schedule.create({
      scheduleId,
      spec: { calendars: [{ hour: 9 }], timezone },
      action: { type: 'startWorkflow', workflowType: 'none', taskQueue, args: [] },
      state: { paused: true },
    });
    const { startTime } = await client.workflowService.listScheduleMatchingTimes({
      namespace: 'default',
      scheduleId,
      startTime: msToTs(Date.now()),
      endTime: msToTs(Date.now() + 400 * DAY_MS),
    });
    await handle.delete();
    return startTime.map(tsToMs);
  }
});

describe('what the server does not have', () => {
  const nowhere = (): Client =>
    new Client({ connection: connected.client.connection, namespace: `nowhere-${randomUUID()}` });

  it('is a schedule or a run where it says so of that', async () => {
    const [userId, missionId] = [randomUUID(), randomUUID()];
    expect(await schedules.pauseOf(userId, missionId)).toBeNull();
    expect(await schedules.holdsBack(userId, missionId)).toBe(false);
    expect(await schedules.remove(userId, missionId)).toBe(false);
    expect(await isRunOpen(client, `never-started-${missionId}`, randomUUID())).toBe(false);
  });

  it('is no schedule and no run where it does not have the namespace: a pause could be passed by', async () => {
    const lost = createMissionSchedules({ client: nowhere(), taskQueue });
    const [userId, missionId] = [randomUUID(), randomUUID()];
    await expect(lost.pauseOf(userId, missionId)).rejects.toThrow('NOT_FOUND');
    await expect(lost.holdsBack(userId, missionId)).rejects.toThrow('NOT_FOUND');
    await expect(lost.remove(userId, missionId)).rejects.toThrow('NOT_FOUND');
    await expect(isRunOpen(nowhere(), 'any', randomUUID())).rejects.toThrow('NOT_FOUND');
    await expect(cancelRun(nowhere(), { workflowId: 'any', runId: randomUUID() })).rejects.toThrow(
      TemporalUnavailableError,
    );
    await expect(lost.ensure(mission({}))).rejects.toThrow('NOT_FOUND');
  });

  it('is not created when that is no longer wanted once it was looked for', async () => {
    const unwanted = mission({});
    expect(await schedules.ensure(unwanted, { mayCreate: () => Promise.resolve(false) })).toBeNull();
    expect(await schedules.pauseOf(unwanted.userId, unwanted.missionId)).toBeNull();
  });

  it('keeps no run of another namespace from being cancelled', async () => {
    const [userId, missionId] = [randomUUID(), randomUUID()];
    const due = { userId, missionId, agentId: null, instantMs: Date.now() };
    expect(await schedules.startDue(due)).toBe('started');
    const lost = nowhere();
    const clients = { home: lost, all: [lost, client], ofUser: () => client };
    const run = { workflowId: dueWorkflowId(userId, missionId, due.instantMs) };
    expect(await cancelRun(clients, run)).toBe(true);
    await client.workflow.getHandle(run.workflowId).terminate();
    await expect(cancelRun(clients, run)).rejects.toThrow(TemporalUnavailableError);
  });
});
