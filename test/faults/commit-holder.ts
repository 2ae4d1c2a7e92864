import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** What PostgreSQL says when a commit has been done. */
const COMMITTED = Buffer.from('COMMIT\0');

/**
 * A way to PostgreSQL that can keep the news of a commit from the client: a process killed then dies in the window
 * between commit and acknowledgement, without a line of the product knowing of it.
 */
export interface CommitHolder {
  /** In place of the connection string that it was started with. */
  readonly url: string;
  /** Resolves once the transaction that sent the awaited text is committed and its client still waits for the answer. */
  readonly held: Promise<void>;
  close(): Promise<void>;
}

/**
 * @param databaseUrl where PostgreSQL really is
 * @param statement text in the statement or in a parameter of it; a statement's own text is sent by a connection only the
 *   first time, later it goes by the name of the prepared statement
 */
export async function startCommitHolder(databaseUrl: string, statement: string): Promise<CommitHolder> {
  const { promise: held, resolve: holding } = Promise.withResolvers<undefined>();
  const target = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const database = connect(Number(target.port), target.hostname);
    let isAwaited = false;
    let isHeld = false;
    client.on('data', (chunk) => {
      isAwaited ||= chunk.includes(statement);
      database.write(chunk);
    });
    database.on('data', (chunk) => {
      isHeld ||= isAwaited && chunk.includes(COMMITTED);
      if (isHeld) holding(undefined);
      else client.write(chunk);
    });
    for (const [socket, other] of [
      [client, database],
      [database, client],
    ] as const) {
      sockets.add(socket);
      socket.on('close', () => other.destroy());
      socket.on('error', () => other.destroy());
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL(databaseUrl);
  url.port = String((server.address() as AddressInfo).port);
  return {
    url: url.href,
    held,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
