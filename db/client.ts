import postgres from 'postgres';
import type { UserId } from '../domain/ids.ts';

declare const userTransaction: unique symbol;

/**
 * A transaction in which `app.current_user_id` is set: the only thing that per-user modules of db/ accept, and only
 * `Database.asUser` makes one. So no statement can be sent without its user.
 */
export type UserTransaction = postgres.TransactionSql & {
  readonly [userTransaction]: UserId;
};

/** Statements that belong to no user: the projection's cursor, the sweep's list of slots. */
export type SystemSql = postgres.Sql | postgres.TransactionSql;

export interface Database {
  /** Runs `work` in one transaction as `userId`; an empty id is refused before anything is sent. */
  asUser<T>(userId: UserId, work: (tx: UserTransaction) => Promise<T>): Promise<T>;
  /** One transaction without a user; row-level security then shows no per-user rows but those of explicit policies. */
  asSystem<T>(work: (tx: postgres.TransactionSql) => Promise<T>): Promise<T>;
  readonly system: postgres.Sql;
  /** Throws when the database does not answer. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

export interface DatabaseOptions {
  readonly url: string;
  readonly applicationName: string;
  readonly maxConnections: number;
}

const CONNECT_TIMEOUT_SECONDS = 10;
const IDLE_TIMEOUT_SECONDS = 30;
const STATEMENT_TIMEOUT_MS = 30_000;
/** A transaction that its process forgot must not hold a mission's lock for ever. */
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 60_000;

/** Opens a bounded pool; connections are made on demand. */
export function openDatabase(options: DatabaseOptions): Database {
  const sql = postgres(options.url, {
    max: options.maxConnections,
    idle_timeout: IDLE_TIMEOUT_SECONDS,
    connect_timeout: CONNECT_TIMEOUT_SECONDS,
    // Notices of the server could quote values; nothing here depends on them.
    onnotice: () => undefined,
    connection: {
      application_name: options.applicationName,
      statement_timeout: STATEMENT_TIMEOUT_MS,
      idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
    },
  });
  return {
    asUser: (userId, work) => inUserTransaction(sql, userId, work),
    asSystem: (work) => inTransaction(sql, work),
    system: sql,
    ping: async () => {
      await sql`select 1`;
    },
    close: () => sql.end({ timeout: 5 }),
  };
}

async function inTransaction<T>(
  sql: postgres.Sql,
  work: (tx: postgres.TransactionSql) => Promise<T>,
): Promise<T> {
  // postgres.js unwraps arrays of promises in its result type; ours are plain values.
  return (await sql.begin((tx) => work(tx))) as T;
}

async function inUserTransaction<T>(
  sql: postgres.Sql,
  userId: UserId,
  work: (tx: UserTransaction) => Promise<T>,
): Promise<T> {
  if (userId.trim() === '') throw new TypeError('user id: found an empty text, expected a non-empty one');
  return inTransaction(sql, async (tx) => {
    // `true` = for this transaction only: a pooled connection comes back without a user.
    await tx`select set_config('app.current_user_id', ${userId}, true)`;
    return work(tx as UserTransaction);
  });
}
