import type { Socket } from 'node:net';
import pg from 'pg';

export interface StatementCounts {
  /** Without what begins and ends the transactions. */
  statements: number;
  transactions: number;
  /** Sent while nothing of the connection was under way: somebody waits for the answer. */
  roundTrips: number;
  /** What PostgreSQL sent in these transactions, in bytes. */
  bytesRead: number;
}

type Query = (this: pg.Client, ...args: unknown[]) => unknown;

interface Connection {
  isUsers: boolean;
  /** When the transaction began. */
  bytesBefore: number;
  underWay: number;
}

/**
 * Counts the transactions of users on connections with these application names while `work` goes on; what belongs to no user, such
 * as the sweep, comes when it likes. For tests that run their parts in their own process.
 */
export async function countStatements(
  applicationNames: readonly string[],
  work: () => Promise<unknown>,
): Promise<StatementCounts> {
  const counts: StatementCounts = { statements: 0, transactions: 0, roundTrips: 0, bytesRead: 0 };
  const connections = new WeakMap<pg.Client, Connection>();
  const prototype = pg.Client.prototype as unknown as { query: Query };
  const { query } = prototype;
  prototype.query = function (...args) {
    const {
      connectionParameters,
      connection: { stream },
    } = this as unknown as {
      readonly connectionParameters: { readonly application_name?: string };
      readonly connection: { readonly stream: Socket };
    };
    const sent = query.apply(this, args);
    if (!applicationNames.includes(connectionParameters.application_name ?? '')) return sent;
    const connection = connections.get(this) ?? { isUsers: false, bytesBefore: 0, underWay: 0 };
    connections.set(this, connection);
    const text = textOf(args[0]);
    if (text.includes('app.current_user_id')) {
      connection.isUsers = true;
      connection.bytesBefore = stream.bytesRead;
      counts.transactions += 1;
      // That of `begin`, which is sent a moment before.
      counts.roundTrips += 1;
    } else if (connection.isUsers) {
      if (text !== 'commit') counts.statements += 1;
      if (connection.underWay === 0) counts.roundTrips += 1;
    }
    const isEnd = connection.isUsers && text === 'commit';
    if (isEnd) connection.isUsers = false;
    connection.underWay += 1;
    const settle = (): void => {
      connection.underWay -= 1;
      if (isEnd) counts.bytesRead += stream.bytesRead - connection.bytesBefore;
    };
    void Promise.resolve(sent).then(settle, settle);
    return sent;
  };
  try {
    await work();
  } finally {
    prototype.query = query;
  }
  return counts;
}

const textOf = (given: unknown): string =>
  typeof given === 'string' ? given : String((given as { readonly text?: unknown } | undefined)?.text);
