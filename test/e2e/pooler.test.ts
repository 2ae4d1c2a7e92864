import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openDatabase, type Database } from '#db/client.ts';
import { lookAtConnection } from '#db/connection-kind.ts';
import { withClient } from '#dev/platform-schema.ts';
import { requestGrant } from '#dev/web-app.ts';
import { formatInstant } from '#domain/base/instant.ts';
import { toUserId } from '#domain/base/ids.ts';
import { migrateSyncDatabase } from '#migrations/migrate.ts';
import { surroundingsOf } from '#test/faults/surroundings.ts';
import { runAuditScript } from '#test/support/operator-commands.ts';
import { writeGrantedMission } from '#test/support/granted-mission.ts';
import { startMissionSystem, type MissionSystem } from '#test/support/mission-system.ts';
import { replyOfTwoRounds } from '#test/support/planner-scripts.ts';
import { startPooler, type Pooler } from '#test/support/pooler.ts';
import { readAudit, readWrittenIterations } from '#test/support/stored-rows.ts';
import { waitUntil } from '#test/support/wait-until.ts';
import { startSystemProcess, type Surroundings } from '#test/support/worker-process.ts';

/** Fewer than the service opens, so that connections pass from one of its transactions to another's. */
const CONNECTIONS = 2;

let system: MissionSystem;
beforeAll(async () => {
  system = await startMissionSystem({ parts: [], script: replyOfTwoRounds });
});
afterAll(() => system.close());

interface Setting {
  /** Statements that the pooler keeps for each connection; 0: none, as before PgBouncer 1.21. */
  readonly kept: number;
  /** `DATABASE_PREPARED_STATEMENTS` */
  readonly named: boolean;
}

async function withPooler(kept: number, work: (pooler: Pooler) => Promise<void>): Promise<void> {
  const pooler = await startPooler({ maxPreparedStatements: kept, connections: CONNECTIONS });
  try {
    await work(pooler);
  } finally {
    await pooler.stop();
  }
}

const withDatabase = ({ kept, named }: Setting, work: (database: Database, url: string) => Promise<void>) =>
  withPooler(kept, async (pooler) => {
    const url = pooler.through(system.databases.urls.runner.sync);
    const database = openDatabase({
      ...{ url, applicationName: 'pooler-test', maxConnections: 8 },
      preparedStatements: named,
    });
    try {
      await work(database, url);
    } finally {
      await database.close();
    }
  });

it.each([
  { kept: 100, named: true },
  { kept: 100, named: false },
  { kept: 0, named: false },
])('transactions that share connections leave nothing behind (kept: $kept, named: $named)', (setting) =>
  withDatabase(setting, async (database, url) => {
    const seen = await Promise.all(
      Array.from({ length: 100 }, (_, number) =>
        database.asUser(toUserId(`user-${number}`), async (tx) => {
          await tx`select pg_sleep(0.005)`;
          const [first] = await tx`
            select current_setting('app.current_user_id') as "user", current_setting('statement_timeout') as statement,
                   current_setting('idle_in_transaction_session_timeout') as idle`;
          return first;
        }),
      ),
    );
    expect(seen).toEqual(
      seen.map((_, number) => ({ user: `user-${number}`, statement: '30s', idle: '1min' })),
    );
    for (let time = 0; time < 10; time += 1) {
      const { rows } = await withClient(url, (client) =>
        client.query(
          `select coalesce(current_setting('app.current_user_id', true), '') as "user",
                  current_setting('statement_timeout') as statement`,
        ),
      );
      expect(rows).toEqual([{ user: '', statement: '0' }]);
    }
  }),
);

it('named statements fail where the pooler keeps none: what the setting is for', () =>
  withDatabase({ kept: 0, named: true }, async (database) => {
    const asked = await Promise.allSettled(Array.from({ length: 50 }, () => database.system`select 1`));
    const texts = asked.flatMap((each) =>
      each.status === 'rejected' ? [(each.reason as Error).message] : [],
    );
    expect(texts.length).toBeGreaterThan(0);
    for (const text of texts)
      expect(text).toMatch(/^prepared statement ".*" (already exists|does not exist)$/);
  }));

it.each([
  { kept: 100, named: true },
  { kept: 0, named: false },
])('the processes mint a grant and run the due mission (kept: $kept, named: $named)', ({ kept, named }) =>
  withPooler(kept, async (pooler) => {
    const around = behind(pooler, await surroundingsOf(system));
    const env = { DATABASE_PREPARED_STATEMENTS: String(named) };
    const processes = await Promise.all(
      (['api', 'all'] as const).map((name) => startSystemProcess(name, around, env)),
    );
    try {
      const apiUrl = processes[0]?.url() ?? '';
      const { missionId } = await writeGrantedMission(
        {
          webApp: system.webApp,
          requestGrant: async (userId, body) =>
            requestGrant(apiUrl, await system.issuer.issueToken({ sub: userId }), body),
        },
        `OBJECTIVE-${randomUUID()}`,
        { nextRunAt: formatInstant(Date.now() + 1_000) },
      );
      const rows = await waitUntil('the mission has run', async () => {
        const found = await readWrittenIterations(system.databases, missionId);
        return found.length > 0 && found;
      });
      expect(rows).toMatchObject([[{ overallStatus: 'awaiting-review' }]]);
      expect(await readAudit(system.databases, missionId)).toEqual(['aiMissions ok', 'notes ok']);
      for (const { output } of processes) expect(output()).not.toMatch(/"level":[56]0/);
    } finally {
      await Promise.all(processes.map((running) => running.stop()));
    }
  }),
);

it('an audit command goes through a pooler that keeps no prepared statements', () =>
  withPooler(0, async (pooler) => {
    const { code, stderr } = await runAuditScript('verify', {
      MAINTENANCE_DATABASE_URL: pooler.through(system.databases.urls.maintenance.sync),
    });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  }));

it.each([
  { kept: 0, keepsStatements: false },
  { kept: 100, keepsStatements: true },
])(
  'the doctor sees a pooler in transaction mode, and whether it keeps statements ($kept)',
  ({ kept, keepsStatements }) =>
    withPooler(kept, async (pooler) => {
      const url = pooler.through(system.databases.urls.runner.sync);
      const seen = await lookAtConnection(url, { applicationName: 'pooler-test', timeoutMs: 5_000 });
      expect(seen).toMatchObject({ kind: 'transaction', keepsStatements });
    }),
);

it('the doctor sees PostgreSQL itself', async () => {
  const url = system.databases.urls.runner.sync;
  const seen = await lookAtConnection(url, { applicationName: 'pooler-test', timeoutMs: 5_000 });
  expect(seen).toMatchObject({ kind: 'direct', keepsStatements: null });
});

it('the migrations refuse to go through a pooler, and say why', () =>
  withPooler(100, (pooler) =>
    expect(migrateSyncDatabase(pooler.through(system.databases.syncOwnerUrl))).rejects.toThrow(
      'give the address of PostgreSQL itself',
    ),
  ));

/** PostgreSQL itself is only reached by way of the pooler. */
function behind(pooler: Pooler, around: Surroundings): Surroundings {
  const { urls } = around.databases;
  const both = ({ sync, auth }: { sync: string; auth: string }) => ({
    sync: pooler.through(sync),
    auth: pooler.through(auth),
  });
  const one = ({ sync }: { sync: string }) => ({ sync: pooler.through(sync) });
  return {
    ...around,
    databases: {
      ...around.databases,
      urls: {
        ...urls,
        api: both(urls.api),
        vault: both(urls.vault),
        runner: one(urls.runner),
        projection: one(urls.projection),
      },
    },
  };
}
