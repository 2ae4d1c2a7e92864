import { createHash } from 'node:crypto';
import type { ClientBase, Pool, PoolClient, QueryResult } from 'pg';
import { nameConnectionFailure, wearsOut } from './connection-failure.ts';
import { sql, type Fragment, type Parameter } from './sql.ts';
import { UserErasedError } from '#domain/base/errors.ts';

/** Sends the one statement that the template makes, and gives its rows. */
export type Statements = <Rows extends readonly object[] = readonly Readonly<Record<string, unknown>>[]>(
  strings: TemplateStringsArray,
  ...values: readonly (Parameter | Fragment)[]
) => Promise<Rows>;

export interface Transaction extends Statements {
  /**
   * Sends a statement whose rows nobody needs, and waits for nothing: what is sent behind it waits in the database. Its failure is
   * that of the next statement that is waited for, or of the commit.
   */
  readonly ahead: (strings: TemplateStringsArray, ...values: readonly (Parameter | Fragment)[]) => void;
  /** What fails in `work` is undone, and the transaction goes on if its caller does. */
  savepoint<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
}

export interface Sender {
  readonly pool: Pool;
  /** Whole milliseconds. */
  readonly statementTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly preparedStatements: boolean;
  readonly onConnection: (waitedMs: number) => void;
  /** Whether this user of this database can be told who was erased; found out by the first transactions as a user. */
  knowsErased: boolean;
  /** Of `performance.now()`: when that was asked last. */
  askedErasedAtMs: number;
  readonly around: AroundStatement;
}

/** @param text of the statement, without values */
export type AroundStatement = <T>(text: string, work: () => Promise<T>) => Promise<T>;

/** A connection that does not answer this is not worth keeping. */
const ROLLBACK_TIMEOUT_MS = 5_000;
/** A process that started before its database was migrated has to learn of it. */
const ASK_ERASED_EVERY_MS = 30_000;

/**
 * Runs `work` in one transaction and commits it. Whatever fails, the connection that goes back to the pool has no transaction
 * open, or is ended. An error of the commit itself leaves open whether it took place.
 *
 * @param userId whose rows the transaction may see; null for nobody's
 * @throws UserErasedError where that user was erased; otherwise nobody erases the user before the transaction has ended
 */
export async function inTransaction<T>(
  sender: Sender,
  userId: string | null,
  work: (tx: Transaction) => Promise<T>,
): Promise<T> {
  return onClient(sender, async (open) => {
    await open.begin(userId);
    const result = await work(open.tx);
    open.end();
    // Whoever waited for a statement knows already.
    await open.begun;
    await open.commit();
    return result;
  });
}

/** Runs one statement in a transaction of its own and without a user, in a single round trip. */
export async function inOwnTransaction<Rows>(sender: Sender, statement: Fragment): Promise<Rows> {
  return onClient(sender, async (open) => {
    const [, { rows }] = await Promise.all([open.begin(null), open.send(statement), open.commit()]);
    return rows as Rows;
  });
}

/** Sends one statement with nothing around it: only for what reads no table, for no limit of ours is in force on the server. */
export async function alone<Rows>(sender: Sender, statement: Fragment): Promise<Rows> {
  return onClient(sender, async (open) => (await open.send(statement)).rows as Rows);
}

async function onClient<T>(sender: Sender, work: (open: OpenTransaction) => Promise<T>): Promise<T> {
  const client = await connect(sender);
  const open = new OpenTransaction(client, sender);
  let isClean = true;
  try {
    return await work(open);
  } catch (error) {
    open.end();
    isClean = await rollBack(client);
    throw nameConnectionFailure(error);
  } finally {
    client.release(!isClean || open.isWornOut);
  }
}

async function connect({ pool, onConnection }: Sender): Promise<PoolClient> {
  const askedAtMs = performance.now();
  try {
    return await pool.connect();
  } catch (error) {
    throw nameConnectionFailure(error);
  } finally {
    onConnection(performance.now() - askedAtMs);
  }
}

class OpenTransaction {
  readonly tx: Transaction;
  /** Rejects where the transaction could not be begun, or its user was erased. */
  begun: Promise<unknown> = Promise.resolve();
  /** Also where whoever waited for the statement goes on without it. */
  isWornOut = false;
  readonly #client: ClientBase;
  readonly #sender: Sender;
  #isOver = false;
  #savepoints = 0;
  #failure: Error | null = null;

  constructor(client: ClientBase, sender: Sender) {
    this.#client = client;
    this.#sender = sender;
    const send: Statements = async <Rows>(
      strings: TemplateStringsArray,
      ...values: readonly (Parameter | Fragment)[]
    ) => (await this.send(sql(strings, ...values))).rows as Rows;
    this.tx = Object.assign(send, {
      ahead: (strings: TemplateStringsArray, ...values: readonly (Parameter | Fragment)[]): void => {
        // Noted as the transaction's failure.
        this.send(sql(strings, ...values)).catch(() => undefined);
      },
      savepoint: <T>(work: (tx: Transaction) => Promise<T>) => this.#savepoint(work),
    });
  }

  /**
   * Sends what begins it, and does not wait for the answer: the first statement of the work leaves in the same packet, and is carried
   * out behind it or not at all. What it sets is in force until the transaction ends: the connection, also one that a pooler lends,
   * comes back without. Who waited for a lock has to see what was committed meanwhile, whatever the database's owner sets by default.
   */
  async begin(userId: string | null): Promise<void> {
    const { statementTimeoutMs, idleTimeoutMs } = this.#sender;
    const begins = this.#noted(
      this.#client.query(
        `begin isolation level read committed; set local statement_timeout = ${statementTimeoutMs};
         set local idle_in_transaction_session_timeout = ${idleTimeoutMs}`,
      ),
    );
    this.#begunBy(begins);
    if (userId === null) return;
    // mana-auth's database does not know, nor does a web app's user.
    if (!this.#sender.knowsErased && performance.now() - this.#sender.askedErasedAtMs > ASK_ERASED_EVERY_MS) {
      this.#sender.knowsErased = await this.#findOutKnowsErased();
      this.#sender.askedErasedAtMs = performance.now();
    }
    this.#begunBy(Promise.all([begins, this.#becomeUser(userId)]));
  }

  #begunBy(begun: Promise<unknown>): void {
    this.begun = begun;
    // Told to whoever waits for a statement, or for the commit.
    begun.catch(() => undefined);
  }

  async #becomeUser(userId: string): Promise<void> {
    if (!this.#sender.knowsErased) {
      await this.#answerTo(sql`select set_config('app.current_user_id', ${userId}, true)`);
      return;
    }
    const { rows } = await this.#answerTo(
      sql`select set_config('app.current_user_id', ${userId}, true), mana_ai.is_erased(${userId}) as erased`,
    );
    if ((rows as readonly { erased: boolean }[])[0]?.erased === true) throw new UserErasedError();
  }

  async #findOutKnowsErased(): Promise<boolean> {
    const { rows } = await this.#answerTo(
      sql`
        select exists (
          select from pg_catalog.pg_proc asks join pg_catalog.pg_namespace on pg_namespace.oid = asks.pronamespace
          where nspname = 'mana_ai' and proname = 'is_erased' and has_function_privilege(asks.oid, 'execute')
        ) as knows`,
    );
    return (rows as readonly { knows: boolean }[])[0]?.knows === true;
  }

  /** What it answers is known only once the transaction has begun: nothing is told about a user who was erased. */
  async send(statement: Fragment): Promise<QueryResult<object>> {
    this.#assertUnderWay();
    const answer = this.#answerTo(statement);
    answer.catch(() => undefined);
    await this.begun;
    return answer;
  }

  #answerTo({ text, values }: Fragment): Promise<QueryResult<object>> {
    return this.#sender.around(text, () =>
      // Inside: whatever stands around it, the failure is noted before that of the next statement is heard of.
      this.#noted(
        this.#client.query({
          text,
          values,
          ...(this.#sender.preparedStatements && { name: nameOf(text) }),
        }),
      ),
    );
  }

  /** The first failure is what went wrong; behind it the server only says that the transaction has failed. */
  async #noted<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      this.isWornOut ||= wearsOut(error);
      if (error instanceof Error) this.#failure ??= error;
      throw this.#failure ?? error;
    }
  }

  async commit(): Promise<void> {
    const { command } = await this.#client.query('commit');
    // PostgreSQL rolls back, without an error, what a statement failed in that nobody looked at.
    if (command !== 'COMMIT') {
      throw this.#failure ?? new Error('the transaction was rolled back by its commit');
    }
  }

  /** From now on no statement is taken. */
  end(): void {
    this.#isOver = true;
  }

  /** The connection may be another transaction's, and another user's, by now. */
  #assertUnderWay(): void {
    if (this.#isOver) throw new TypeError('a statement was sent on a transaction that is over');
  }

  async #savepoint<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    this.#assertUnderWay();
    this.#savepoints += 1;
    const name = `savepoint_${this.#savepoints}`;
    this.#noted(this.#client.query(`savepoint ${name}`)).catch(() => undefined);
    try {
      const result = await work(this.tx);
      this.#assertUnderWay();
      await this.#noted(this.#client.query(`release savepoint ${name}`));
      return result;
    } catch (error) {
      // The transaction was undone as a whole.
      if (this.#isOver) throw error;
      await this.#noted(this.#client.query(`rollback to savepoint ${name}`));
      this.#failure = null;
      throw error;
    }
  }
}

/** @returns whether the connection is in no transaction any more */
async function rollBack(client: ClientBase): Promise<boolean> {
  const statement = { text: 'rollback', query_timeout: ROLLBACK_TIMEOUT_MS };
  try {
    await client.query(statement);
    return true;
  } catch {
    return false;
  }
}

const names = new Map<string, string>();

/** The same text has the same name on every connection; there are as many texts as the modules of db/ can make. */
function nameOf(text: string): string {
  const known = names.get(text);
  if (known !== undefined) return known;
  const name = createHash('sha256').update(text).digest('base64url');
  names.set(text, name);
  return name;
}
