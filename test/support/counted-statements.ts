import pg from 'pg';

export interface StatementCounts {
  /** Without what begins and ends the transactions. */
  statements: number;
  transactions: number;
  /** Sent while nothing of the connection was under way: somebody waits for the answer. */
  roundTrips: number;
}

type Query = (this: pg.Client, ...args: unknown[]) => unknown;

interface Connection {
  isUsers: boolean;
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
  const counts: StatementCounts = { statements: 0, transactions: 0, roundTrips: 0 };
  const connections = new WeakMap<pg.Client, Connection>();
  const prototype = pg.Client.prototype as unknown as { query: Query };
  const { query } = prototype;
  prototype.query = function (...args) {
    const { connectionParameters } = this as unknown as {
      readonly connectionParameters: { readonly application_name?: string };
    };
    const sent = query.apply(this, args);
    if (!applicationNames.includes(connectionParameters.application_name ?? '')) return sent;
    const connection = connections.get(this) ?? { isUsers: false, underWay: 0 };
    connections.set(this, connection);
    const text = textOf(args[0]);
    if (text.includes('app.current_user_id')) {
      connection.isUsers = true;
      counts.transactions += 1;
      // That of `begin`, which is sent a moment before.
      counts.roundTrips += 1;
    } else if (connection.isUsers) {
      if (text !== 'commit') counts.statements += 1;
      if (connection.underWay === 0) counts.roundTrips += 1;
    }
    if (text === 'commit') connection.isUsers = false;
    connection.underWay += 1;
    const settle = (): void => {
      connection.underWay -= 1;
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
