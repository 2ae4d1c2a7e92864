import { openPool } from './pool.ts';
import {
  alone,
  inOwnTransaction,
  inTransaction,
  type AroundStatement,
  type Statements,
  type Transaction,
} from './transaction.ts';
import { sql } from './sql.ts';
import type { UserId } from '#domain/base/ids.ts';

declare const userTransaction: unique symbol;

/**
 * A transaction in which `app.current_user_id` is set: the only thing that per-user modules of db/ accept, and only
 * `Database.asUser` makes one. It carries its user, so no statement can be sent without one or about another one.
 */
export type UserTransaction = Transaction & { readonly userId: UserId; readonly [userTransaction]: true };

/** Statements that belong to no user: the projection's cursor, the sweep's list of slots. */
export type SystemSql = Statements;

export interface Database {
  /**
   * Runs `work` in one transaction as `userId`; an empty id is refused before anything is sent.
   *
   * @throws UserErasedError where the user was erased
   */
  asUser<T>(userId: UserId, work: (tx: UserTransaction) => Promise<T>): Promise<T>;
  /** One transaction without a user; row-level security then shows no per-user rows but those of explicit policies. */
  asSystem<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
  /** Each statement is a transaction of its own. */
  readonly system: SystemSql;
  /**
   * Which transactions can be seen now, in PostgreSQL's own words: as long as they stay the same, nothing has become visible, however long
   * ago its transaction began. Costs the database next to nothing, for it reads no table.
   */
  visibleTransactions(): Promise<string>;
  /** Throws when the database does not answer. */
  ping(): Promise<void>;
  /** Of the pool, now. */
  connections(): { readonly used: number; readonly idle: number; readonly waiting: number };
  close(): Promise<void>;
}

export interface DatabaseOptions {
  readonly url: string;
  readonly applicationName: string;
  readonly maxConnections: number;
  /**
   * Whether the server keeps each statement under a name, with its plan; true by default. A pooler that lends its connections
   * by the transaction has to know of it.
   */
  readonly preparedStatements?: boolean;
  /** Hears how long each transaction waited for its connection, also in vain. */
  readonly onConnection?: (waitedMs: number) => void;
  /** Wraps the sending of each statement; its text holds no values. */
  readonly around?: AroundStatement;
  /** What differs from `LIMITS`, where somebody waits for the answer. */
  readonly limits?: Partial<DatabaseLimits>;
}

/** How long each step may take, in whole milliseconds. */
export interface DatabaseLimits {
  /** For a connection that is made as well as for one that others have to give back first. */
  readonly connectMs: number;
  /** Of one statement, waiting for locks included. */
  readonly statementMs: number;
}

const LIMITS: DatabaseLimits = { connectMs: 10_000, statementMs: 30_000 };
/** A transaction that its process forgot must not hold a mission's lock for ever. */
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 60_000;
/** A server that has not ended the statement by itself so long after its time is frozen, or gone without a word. */
const ANSWER_MARGIN_MS = 2_000;

/** Opens a bounded pool; connections are made on demand. */
export function openDatabase(options: DatabaseOptions): Database {
  const { connectMs, statementMs } = { ...LIMITS, ...options.limits };
  const opened = openPool({
    ...options,
    connectTimeoutMs: connectMs,
    answerTimeoutMs: statementMs + ANSWER_MARGIN_MS,
  });
  const sender = {
    pool: opened.pool,
    // Not start-up parameters, which a pooler refuses: each transaction sets them for itself.
    statementTimeoutMs: statementMs,
    idleTimeoutMs: IDLE_IN_TRANSACTION_TIMEOUT_MS,
    preparedStatements: options.preparedStatements ?? true,
    onConnection: options.onConnection ?? (() => undefined),
    around: options.around ?? ((_text, work) => work()),
    ...{ knowsErased: false, askedErasedAtMs: Number.NEGATIVE_INFINITY },
  };
  const system: SystemSql = (strings, ...values) => inOwnTransaction(sender, sql(strings, ...values));
  return {
    asUser: async (userId, work) => {
      if (userId.trim() === '') throw new TypeError('user id: found an empty text, expected a non-empty one');
      return inTransaction(sender, userId, (tx) => work(Object.assign(tx, { userId }) as UserTransaction));
    },
    asSystem: (work) => inTransaction(sender, null, work),
    system,
    visibleTransactions: async () => {
      const [row] = await alone<readonly { readonly visible: string }[]>(
        sender,
        sql`select pg_current_snapshot()::text as visible`,
      );
      return row?.visible ?? '';
    },
    ping: async () => {
      await system`select 1`;
    },
    connections: () => {
      const { totalCount, idleCount, waitingCount } = opened.pool;
      return { used: totalCount - idleCount, idle: idleCount, waiting: waitingCount };
    },
    close: () => opened.close(),
  };
}
