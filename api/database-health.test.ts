import { describe, expect, it } from 'vitest';
import type { Database } from '../db/client.ts';
import { createDatabaseHealth } from './database-health.ts';

const database = (ping: () => Promise<void>): Database => ({
  ping,
  asUser: () => Promise.reject(new Error('not used here')),
  asSystem: () => Promise.reject(new Error('not used here')),
  close: () => Promise.resolve(),
  get system(): never {
    throw new Error('not used here');
  },
});
const fine = database(() => Promise.resolve());
const broken = database(() => Promise.reject(new Error('connection refused')));

describe('database health', () => {
  it('both answer', async () => {
    const health = createDatabaseHealth({ syncDatabase: fine, authDatabase: fine }, 1_000);
    expect(await health()).toEqual({ syncDatabase: true, authDatabase: true });
  });

  it('says which one does not', async () => {
    const health = createDatabaseHealth({ syncDatabase: fine, authDatabase: broken }, 1_000);
    expect(await health()).toEqual({ syncDatabase: true, authDatabase: false });
  });

  it('a silent database counts as down after the timeout, and is asked only once meanwhile', async () => {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    let asked = 0;
    const silent = database(async () => {
      asked += 1;
      await promise;
    });
    const health = createDatabaseHealth({ syncDatabase: silent, authDatabase: fine }, 10);
    const answers = await Promise.all([health(), health(), health()]);
    expect(answers.map((answer) => answer.syncDatabase)).toEqual([false, false, false]);
    expect((await health()).syncDatabase).toBe(false);
    expect(asked).toBe(1);
    resolve(undefined);
    await promise;
    expect((await health()).syncDatabase).toBe(true);
    expect((await health()).syncDatabase).toBe(true);
    expect(asked).toBeGreaterThan(1);
  });
});
