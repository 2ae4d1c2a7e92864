import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { raw } from 'sql-template-tag';
import { openDatabase, type Database, type DatabaseOptions } from '#db/client.ts';
import { lockMission } from '#db/mission-lock.ts';
import { checkDatabase, syncDatabaseOf } from '#db/readiness.ts';
import type { Transaction } from '#db/transaction.ts';
import { DatabaseUnavailableError } from '#domain/base/errors.ts';
import { toMissionId, toUserId } from '#domain/base/ids.ts';
import { createTestDatabases, type TestDatabases } from '#test/support/databases.ts';
import { whileLocked } from '#test/support/held-lock.ts';
import { query } from '#test/support/inspect.ts';

let databases: TestDatabases;
beforeAll(async () => {
  databases = await createTestDatabases();
});
afterAll(() => databases.drop());

const ada = toUserId('ada');

/** With a single connection, so that what becomes of it is seen. */
async function withDatabase(
  work: (database: Database) => Promise<void>,
  options: Partial<DatabaseOptions> = {},
): Promise<void> {
  const url = databases.urls.runner.sync;
  const database = openDatabase({ url, applicationName: 'connections-test', maxConnections: 1, ...options });
  try {
    await work(database);
  } finally {
    await database.close();
  }
}

async function withServer(
  onConnection: (client: Socket) => void,
  work: (port: number) => Promise<void>,
): Promise<void> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    onConnection(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    await work((server.address() as AddressInfo).port);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  }
}

const failureOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => expect.unreachable('it does not fail'),
    (error: unknown) => error,
  );

const asSuperuser = (text: string) => query(databases.superuser.syncUrl, text);

/** Of the runner's user, for connections that are made from then on. */
const setOfRole = (change: string) => {
  const { username } = new URL(databases.urls.runner.sync);
  return asSuperuser(
    `alter role ${username} in database ${new URL(databases.superuser.syncUrl).pathname.slice(1)} ${change}`,
  );
};

const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : error);

describe('a connection that says the same again and again is thrown away', () => {
  it.each(['where it fails', 'where its user goes on without'])(
    'when a migration has changed the type of a result, %s',
    async (how) => {
      await asSuperuser(`drop table if exists public.migrated`);
      await asSuperuser(`create table public.migrated as select 1 as value`);
      await asSuperuser('grant select on public.migrated to public');
      await withDatabase(async (database) => {
        const ask = () =>
          database.asSystem(async (tx) => {
            const asked = tx.savepoint((inner) => inner`select value from public.migrated`);
            return how === 'where it fails' ? asked : asked.catch(codeOf);
          });
        expect(await ask()).toEqual([{ value: 1 }]);
        await asSuperuser('alter table public.migrated alter value type text');
        if (how === 'where it fails') await expect(ask()).rejects.toMatchObject({ code: '0A000' });
        else expect(await ask()).toBe('0A000');
        expect(await ask()).toEqual([{ value: '1' }]);
      });
    },
  );

  it('when it has lost its prepared statements', () =>
    withDatabase(async (database) => {
      const ask = () => database.system`select 1 as one`;
      await ask();
      await database.system`deallocate all`;
      await expect(ask()).rejects.toMatchObject({ code: '26000' });
      expect(await ask()).toEqual([{ one: 1 }]);
    }));

  it('when its server only reads, as behind a failover, which counts as unavailable and not as ready', async () => {
    await setOfRole('set default_transaction_read_only = on');
    await withDatabase(async (database) => {
      const write = () => database.asUser(ada, (tx) => tx`delete from mana_ai.run_keys`);
      const isReady = () => checkDatabase(database, syncDatabaseOf('mana_missions_runner'));
      try {
        expect(await isReady()).toBe('the server only reads');
        expect(await failureOf(write())).toBeInstanceOf(DatabaseUnavailableError);
      } finally {
        await setOfRole('reset default_transaction_read_only');
      }
      expect(await write()).toEqual([]);
      expect(await isReady()).toBe('ok');
    });
  });
});

describe('a database that cannot serve', () => {
  const isUnavailable = async (work: Promise<unknown>): Promise<void> =>
    expect(await failureOf(work)).toBeInstanceOf(DatabaseUnavailableError);

  it.each([
    ['a full disk', '53100'],
    ['no memory', '53200'],
    ['no connection left', '53300'],
    ['a server that starts', '57P03'],
  ])('says so: %s', (_, code) =>
    withDatabase((database) =>
      isUnavailable(
        database.system`${raw(`do $do$ begin raise exception using errcode = '${code}'; end $do$`)}`,
      ),
    ),
  );

  it('has ended a transaction whose process stood still for too long', () =>
    withDatabase(async (database) => {
      const stoodStill = database.asSystem(async (tx) => {
        await tx`set local idle_in_transaction_session_timeout = 20`;
        // Nothing of this process goes on, as in a machine that is put to sleep: what the server says meanwhile is heard afterwards.
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
        await tx`select 1`;
      });
      await isUnavailable(stoodStill);
      expect(await database.system`select 1 as one`).toEqual([{ one: 1 }]);
    }));

  it('has ended a transaction that took longer than its owner lets one take', () =>
    withDatabase((database) =>
      isUnavailable(
        database.asSystem(async (tx) => {
          await tx`set local transaction_timeout = 50`;
          await tx`select pg_sleep(20)`;
        }),
      ),
    ));

  const limits = { connectMs: 200, statementMs: 200 };
  const reach = (port: number, way: string): Promise<void> =>
    withDatabase((database) => isUnavailable(database.ping()), {
      url: `postgres://ada:secret@127.0.0.1:${port}/mana?${way}`,
      limits,
    });
  const [PLAIN, TLS] = ['', 'sslmode=verify-full'] as const;
  const behindFirstData = (act: (client: Socket) => void) => (client: Socket) =>
    void client.once('data', () => act(client));

  it.each<[string, string, (client: Socket) => void]>([
    ['takes connections and says nothing', PLAIN, () => undefined],
    ['takes connections and says nothing of TLS', TLS, () => undefined],
    ['says nothing in the handshake of TLS', TLS, behindFirstData((client) => client.write('S'))],
    ['ends in the handshake of TLS', TLS, behindFirstData((client) => client.end('S'))],
    ['cannot begin to serve', TLS, behindFirstData((client) => client.end('E'))],
    ['ends at once', PLAIN, (client) => client.destroy()],
    ['resets the connection', PLAIN, behindFirstData((client) => client.resetAndDestroy())],
  ])('%s', (_, way, onConnection) => withServer(onConnection, (port) => reach(port, way)));
});

it('a pool that is closed while its server resets connections is closed all the same', async () => {
  const clients: Socket[] = [];
  const ways = (client: Socket): void => {
    clients.push(client);
    const server = connect(inject('postgresPort'), inject('postgresHost'));
    server.on('error', () => undefined);
    client.pipe(server).pipe(client);
    client.on('close', () => server.destroy());
  };
  await withServer(ways, async (port) => {
    const url = new URL(databases.urls.runner.sync);
    url.port = String(port);
    const database = openDatabase({ url: url.href, applicationName: 'connections-test', maxConnections: 2 });
    await Promise.all([database.ping(), database.ping()]);
    const asked = failureOf(database.system`select pg_sleep(60)`);
    const closed = database.close();
    for (const client of clients) client.resetAndDestroy();
    await closed;
    expect(await asked).toBeInstanceOf(DatabaseUnavailableError);
  });
});

describe('a transaction that is sent ahead of its answers', () => {
  it('fails by its first failure, however its answers come and whatever is around each statement', async () => {
    let isHeldBack = false;
    const ways = (client: Socket): void => {
      const server = connect(inject('postgresPort'), inject('postgresHost'));
      const held: Buffer[] = [];
      server.on('data', (chunk) => {
        held.push(chunk);
        // As a pooler sends them: in one piece.
        if (isHeldBack && !Buffer.concat(held).includes('ROLLBACK')) return;
        client.write(Buffer.concat(held.splice(0)));
      });
      client.pipe(server);
      for (const [socket, other] of [
        [server, client],
        [client, server],
      ] as const) {
        socket.on('error', () => other.destroy());
        socket.on('close', () => other.destroy());
      }
    };
    await withServer(ways, async (port) => {
      const url = new URL(databases.urls.runner.sync);
      url.port = String(port);
      // As tracing is.
      const around = async <T>(_: string, work: () => Promise<T>): Promise<T> => {
        try {
          return await (async () => await work())();
        } finally {
          await Promise.resolve();
        }
      };
      await withDatabase(
        async (database) => {
          const failing = database.asUser(ada, async (tx) => {
            await tx`select 1`;
            isHeldBack = true;
            tx.ahead`select 1 / 0`;
          });
          await expect(failing).rejects.toMatchObject({ code: '22012' });
        },
        { url: url.href, around },
      );
    });
  });

  it('sees what was committed while it waited for a lock, whatever the database does by default', async () => {
    const [missionId, user] = [toMissionId('m'), { userId: ada }];
    await setOfRole('set default_transaction_isolation = serializable');
    try {
      await withDatabase(async (database) => {
        const { promise, resolve } = Promise.withResolvers<unknown>();
        await whileLocked(databases, { user, missionId }, async (untilAwaited) => {
          resolve(
            database.asUser(ada, (tx) => {
              lockMission(tx, missionId);
              return tx`select iteration_id from mana_ai.run_keys where user_id = ${tx.userId}`;
            }),
          );
          await untilAwaited();
          await asSuperuser(
            `insert into mana_ai.run_keys (user_id, iteration_id, mission_id, wrapped_key) values ('${ada}', 'meanwhile', 'm', 'x')`,
          );
        });
        expect(await promise).toEqual([{ iteration_id: 'meanwhile' }]);
      });
    } finally {
      await setOfRole('reset default_transaction_isolation');
    }
  });

  it('that failed does nothing to the next one on its connection', () =>
    withDatabase(async (database) => {
      const nextIsUnderWay = Promise.withResolvers<undefined>();
      const stragglers: Promise<unknown>[] = [];
      const work = async (tx: Transaction): Promise<void> => {
        stragglers.push(
          // Of several that were begun at once it goes on when another one has failed.
          tx.savepoint(async () => {
            await nextIsUnderWay.promise;
            throw new Error('too late');
          }),
          nextIsUnderWay.promise.then(() => tx.savepoint((inner) => inner`select 1`)),
        );
        for (const straggler of stragglers) straggler.catch(() => undefined);
        await tx`select 1 / 0`;
      };
      await expect(database.asSystem(work)).rejects.toMatchObject({ code: '22012' });
      const stands = await database.asSystem((tx) =>
        tx.savepoint(async (inner) => {
          await inner`create temporary table stands as select 1 as one`;
          nextIsUnderWay.resolve(undefined);
          await Promise.allSettled(stragglers);
          return inner`select one from stands`;
        }),
      );
      expect(stands).toEqual([{ one: 1 }]);
      await expect(stragglers[0]).rejects.toThrow('too late');
      await expect(stragglers[1]).rejects.toThrow('transaction that is over');
    }));
});
