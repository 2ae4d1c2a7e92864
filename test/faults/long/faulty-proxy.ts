import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** What happens to everything that goes through while a fault lasts. */
export const NETWORK_FAULTS = ['cut', 'stall', 'slow', 'half-open'] as const;
export type NetworkFault = (typeof NETWORK_FAULTS)[number];

/** A way to a server on this machine, for one process. */
export interface FaultyProxy {
  readonly port: number;
  /** Connections on which PostgreSQL said last that a transaction is open, or has still to answer. */
  transactions(): number;
  /** Connections whose server has still to answer. */
  openCalls(): number;
  /**
   * `cut` ends all connections; `stall` lets nothing through and then everything; `slow` holds each piece for a moment;
   * `half-open` swallows what comes on the connections that are there, for ever, and leaves them open.
   */
  disturb(fault: NetworkFault, forMs: number): void;
  close(): Promise<void>;
}

interface Way {
  readonly client: Socket;
  readonly server: Socket;
  isSwallowing: boolean;
  /** The client has said something since the server did. */
  isAwaiting: boolean;
  /** The last byte of PostgreSQL's `ReadyForQuery`. */
  status: 'idle' | 'busy';
}

const SLOW_MS = 40;

export async function startFaultyProxy(target: {
  readonly host: string;
  readonly port: number;
}): Promise<FaultyProxy> {
  const ways = new Set<Way>();
  let fault: NetworkFault | null = null;
  let over: Promise<unknown> = Promise.resolve();
  const hold = async (way: Way): Promise<boolean> => {
    if (fault === 'stall') await over;
    if (fault === 'slow') await delay(SLOW_MS);
    return !way.isSwallowing;
  };
  const pass = (way: Way, from: Socket, to: Socket, notice: (chunk: Buffer) => void): void => {
    let before: Promise<unknown> = Promise.resolve();
    from.on('data', (chunk: Buffer) => {
      notice(chunk);
      before = before.then(async () => {
        if (await hold(way)) to.write(chunk);
      });
    });
    from.on('error', () => undefined);
    from.on('close', () => {
      ways.delete(way);
      void before.then(() => to.destroy());
    });
  };
  const listener = createServer((client) => {
    const server = connect(target.port, target.host);
    const way: Way = { client, server, isSwallowing: false, isAwaiting: false, status: 'idle' };
    ways.add(way);
    pass(way, client, server, () => (way.isAwaiting = true));
    pass(way, server, client, (chunk) => {
      way.isAwaiting = false;
      way.status = isIdle(chunk) ? 'idle' : 'busy';
    });
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const count = (matches: (way: Way) => boolean): number => [...ways].filter(matches).length;
  const cut = (): void => {
    for (const { client, server } of ways) for (const socket of [client, server]) socket.destroy();
  };
  return {
    port: (listener.address() as AddressInfo).port,
    transactions: () => count(({ status, isAwaiting }) => isAwaiting || status === 'busy'),
    openCalls: () => count(({ isAwaiting }) => isAwaiting),
    disturb: (wanted, forMs) => {
      if (wanted === 'cut') {
        cut();
        return;
      }
      if (wanted === 'half-open') for (const way of ways) way.isSwallowing = true;
      fault = wanted;
      over = delay(forMs).then(() => (fault = null));
    },
    close: async () => {
      cut();
      listener.close();
      await once(listener, 'close');
    },
  };
}

/** `Z`, a length of five, and `I`: outside a transaction, nothing left to say. */
const isIdle = (chunk: Buffer): boolean =>
  chunk.length >= 6 && chunk.subarray(-6).equals(Buffer.from([0x5a, 0, 0, 0, 5, 0x49]));
