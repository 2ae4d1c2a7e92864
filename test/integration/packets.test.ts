import { Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { openDatabase, type Database } from '#db/client.ts';
import { createActivityHarness, type ActivityHarness } from '#test/support/activity-dependencies.ts';

let harness: ActivityHarness;
let database: Database;
beforeAll(async () => {
  harness = await createActivityHarness('packets-test');
  database = openDatabase({
    ...{ url: harness.databases.urls.projection.sync, applicationName: 'packets-test', maxConnections: 1 },
  });
});
afterAll(async () => {
  await database.close();
  await harness.close();
});

let calls = { count: 0 };
/** Counts what leaves the sockets: each piece, written alone or gathered, is a call of the operating system. */
beforeEach(async () => {
  await database.ping();
  const counted = { count: 0 };
  const prototype = Socket.prototype as Required<Pick<Socket, '_write' | '_writev'>>;
  for (const name of ['_write', '_writev'] as const) {
    const original = prototype[name] as (...args: unknown[]) => void;
    vi.spyOn(prototype, name).mockImplementation(function (this: Socket, ...args: unknown[]) {
      counted.count += 1;
      original.apply(this, args);
    });
  }
  calls = counted;
});
afterEach(() => vi.restoreAllMocks());

it('a statement that is a transaction of its own leaves in one packet with what begins and commits it', async () => {
  await database.system`select 1`;
  expect(calls.count).toBe(1);
});

it('a transaction begins with the first statement of its work, and commits with what nobody waits for', async () => {
  await database.asSystem(async (tx) => {
    await tx`select 1`;
    tx.ahead`select 2`;
  });
  expect(calls.count).toBe(2);
});
