import { describe, expect, it } from 'vitest';
import { createLook } from './look.ts';
import type { ProjectionWork } from '#db/followed-changes.ts';

const NOTHING = { rows: false, schedules: false, healings: false, lateSeen: false };

/** A database whose answers are set, and a clock. */
function createFakes() {
  const answers = {
    ...{ rows: false, schedules: false, healInMs: null, lookAgainInMs: null, visible: '7:7:' },
  } as { -readonly [Name in keyof ProjectionWork]: ProjectionWork[Name] };
  const fakes = { answers, nowMs: 0, read: 0, asked: 0 };
  const look = createLook(
    {
      system: <Rows>() => {
        fakes.read += 1;
        return Promise.resolve([{ ...answers }] as Rows);
      },
      visibleTransactions: () => {
        fakes.asked += 1;
        return Promise.resolve(answers.visible);
      },
    },
    () => fakes.nowMs,
  );
  /** @returns what a look finds, and how often it read tables and asked for the visible transactions */
  const next = async () => {
    const { read, asked } = fakes;
    return [(await look()).found, fakes.read - read, fakes.asked - asked];
  };
  return { fakes, answers, look, next };
}

describe('a look', () => {
  it('reads no table while other transactions cannot be seen, once nothing was found', async () => {
    const { answers, next } = createFakes();
    expect(await next()).toEqual([NOTHING, 1, 0]);
    expect(await next()).toEqual([NOTHING, 1, 0]);
    expect(await next()).toEqual([NOTHING, 0, 1]);
    answers.visible = '7:8:';
    expect(await next()).toEqual([NOTHING, 1, 1]);
    // Where somebody writes all the time the small question is not asked.
    answers.visible = '7:9:';
    expect(await next()).toEqual([NOTHING, 1, 0]);
    expect(await next()).toEqual([NOTHING, 1, 0]);
    expect(await next()).toEqual([NOTHING, 0, 1]);
  });

  it('reads again while there was something to do', async () => {
    const { answers, next } = createFakes();
    answers.schedules = true;
    for (let look = 0; look < 3; look += 1)
      expect(await next()).toEqual([{ ...NOTHING, schedules: true }, 1, 0]);
    answers.schedules = false;
    await next();
    expect(await next()).toEqual([NOTHING, 0, 1]);
  });

  it.each([
    ['healings', 'healInMs', 300],
    ['lateSeen', 'lookAgainInMs', 300 - 2_000],
  ] as const)('finds %s as soon as the clock makes them due', async (what, name, inMs) => {
    const { fakes, answers, next } = createFakes();
    answers[name] = inMs;
    await next();
    await next();
    fakes.nowMs = 299;
    expect(await next()).toEqual([NOTHING, 0, 1]);
    fakes.nowMs = 300;
    answers[name] = inMs - 300;
    expect(await next()).toEqual([{ ...NOTHING, [what]: true }, 1, 0]);
  });

  it('reads every five seconds whatever the transactions say', async () => {
    const { fakes, next } = createFakes();
    await next();
    await next();
    fakes.nowMs = 5_000;
    expect(await next()).toEqual([NOTHING, 1, 0]);
  });

  it('comes after a second where nothing was found for a minute, and soon as before once something is', async () => {
    const { fakes, answers, look } = createFakes();
    fakes.nowMs = 59_999;
    expect(await look()).toMatchObject({ againInMs: 350 });
    fakes.nowMs = 60_000;
    answers.visible = '7:8:';
    expect(await look()).toMatchObject({ againInMs: 1_000 });
    expect(await look()).toMatchObject({ againInMs: 1_000 });
    Object.assign(answers, { rows: true, visible: '7:9:' });
    expect(await look()).toMatchObject({ againInMs: 350 });
    answers.rows = false;
    fakes.nowMs = 119_999;
    expect(await look()).toMatchObject({ againInMs: 350 });
  });
});
