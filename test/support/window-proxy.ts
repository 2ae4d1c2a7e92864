import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A moment of an exchange at which a process can be killed without a line of the product knowing of it. */
export interface Window {
  readonly name: string;
  /** Text in what the process sends; the exchange that it begins is the one. */
  readonly awaited: string;
  /** What the process says at its end, such as `commit`. */
  readonly sends: string;
  /** What it hears then. */
  readonly hears: string;
  /** `before`: it was not said; `sent`: it was, and no answer came; `after`: it was answered, and the process does not know. */
  readonly moment: 'before' | 'sent' | 'after';
}

/** A way to a server on which connections stand still, each in a window of its own. */
export interface WindowProxy {
  readonly port: number;
  /** The first exchange that fits from now on stands still there; of two windows that fit, in the first one. */
  arm(windows: readonly Window[]): void;
  /** Names of the windows in which a connection stands still now. */
  standing(): readonly string[];
  close(): Promise<void>;
}

/** A connection, and the window that it comes to. */
interface Way {
  window: Window | null;
  isSent: boolean;
  isStanding: boolean;
}

/** Dropped where a transaction ends otherwise: the exchange that was awaited has not come. */
const ROLLED_BACK = 'rollback\0';

/** @param target where the server really is */
export async function startWindowProxy(target: { readonly port: number }): Promise<WindowProxy> {
  const armed: Window[] = [];
  const ways = new Set<Way>();
  const sockets = new Set<Socket>();
  /** Also of one that stood still until its process gave up: on a slow machine the next exchange takes its place. */
  const giveBack = (way: Way): void => {
    if (way.window !== null) armed.unshift(way.window);
    way.window = null;
  };
  const listener = createServer((client) => {
    const server = connect(target.port, '127.0.0.1');
    const way: Way = { window: null, isSent: false, isStanding: false };
    ways.add(way);
    client.on('data', (chunk) => {
      if (way.window === null) {
        const index = armed.findIndex(({ awaited }) => chunk.includes(awaited));
        way.window = armed.splice(index, index === -1 ? 0 : 1)[0] ?? null;
      }
      const { window } = way;
      way.isSent ||= window !== null && chunk.includes(window.sends);
      if (!way.isSent && chunk.includes(ROLLED_BACK)) giveBack(way);
      way.isStanding ||= way.isSent && window?.moment !== 'after';
      // What it says goes through as a whole where only the answer is to be missed.
      if (!way.isStanding || window?.moment === 'sent') server.write(chunk);
    });
    server.on('data', (chunk) => {
      way.isStanding ||= way.isSent && way.window !== null && chunk.includes(way.window.hears);
      if (!way.isStanding) client.write(chunk);
    });
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(socket);
      socket.on('close', () => {
        sockets.delete(socket);
        giveBack(way);
        ways.delete(way);
        other.destroy();
      });
      socket.on('error', () => other.destroy());
    }
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  return {
    port: (listener.address() as AddressInfo).port,
    arm: (windows) => void armed.push(...windows),
    standing: () => [...ways].flatMap(({ isStanding, window }) => (isStanding ? (window?.name ?? []) : [])),
    close: async () => {
      for (const socket of sockets) socket.destroy();
      listener.close();
      await once(listener, 'close');
    },
  };
}
