import type { Socket } from 'node:net';
import pg from 'pg';

type Connect = (this: pg.Client, ...args: unknown[]) => unknown;

/** Counts what this process reads on connections to PostgreSQL that are made from now on, until it is told to stop. */
export function openSockets(): { bytesRead(): number; stop(): void } {
  const sockets: Socket[] = [];
  const prototype = pg.Client.prototype as unknown as { connect: Connect };
  const { connect } = prototype;
  prototype.connect = function (...args) {
    const { connection } = this as unknown as { readonly connection: { readonly stream: Socket } };
    sockets.push(connection.stream);
    return connect.apply(this, args);
  };
  return {
    bytesRead: () => sockets.reduce((sum, { bytesRead }) => sum + bytesRead, 0),
    stop: () => {
      prototype.connect = connect;
    },
  };
}
