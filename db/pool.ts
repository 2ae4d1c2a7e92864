import { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Client, Pool, type ClientConfig, type PoolConfig } from 'pg';

export interface PoolOptions {
  readonly url: string;
  readonly applicationName: string;
  readonly maxConnections: number;
  /** For a connection that is made as well as for one that others have to give back first. */
  readonly connectTimeoutMs: number;
  /** Ends what the server was asked and does not answer, whatever the server's own limit does. */
  readonly answerTimeoutMs: number;
}

export interface ClosablePool {
  readonly pool: Pool;
  /** Lets what is under way finish, and cuts off what has not after `CLOSE_TIMEOUT_MS`. */
  close(): Promise<void>;
}

const IDLE_TIMEOUT_MS = 30_000;
/** After a failover, or with a new address, all connections are new ones within this time. */
const MAX_LIFETIME_SECONDS = 30 * 60;
const CLOSE_TIMEOUT_MS = 5_000;

/**
 * The driver emits `error` for a backend that ends between two statements, also on clients that are out of the pool, and an
 * event that nobody listens to ends the process. Nothing is lost by not looking: the client takes no further statement, and
 * the pool throws it away.
 */
class GuardedClient extends Client {
  constructor(config?: ClientConfig) {
    super(config);
    this.on('error', () => undefined);
  }
}

/**
 * What is written in one go leaves in one packet: the statements that begin a transaction with the first of its work, and a last one that
 * is not waited for with the commit. Each packet of its own would be a call of the operating system, and would wake the server.
 */
class GatheringSocket extends Socket {
  #isGathering = false;

  constructor() {
    super();
    // Node's `connect` sets `Socket.prototype.write` on the socket itself, in front of ours.
    this.once('connect', () => Reflect.deleteProperty(this, 'write'));
  }

  override write(buffer: Uint8Array | string, callback?: OnWritten): boolean;
  override write(text: Uint8Array | string, encoding?: BufferEncoding, callback?: OnWritten): boolean;
  override write(data: Uint8Array | string, ...rest: readonly unknown[]): boolean {
    if (!this.#isGathering) {
      this.#isGathering = true;
      this.cork();
      process.nextTick(() => {
        this.#isGathering = false;
        this.uncork();
      });
    }
    return super.write(data, ...(rest as [BufferEncoding, OnWritten]));
  }
}

type OnWritten = (error?: Error | null) => void;

/** Opens a bounded pool; connections are made on demand. */
export function openPool(options: PoolOptions): ClosablePool {
  const sockets = new Set<Socket>();
  const config: PoolConfig & { readonly pipeline: boolean } = {
    connectionString: options.url,
    // A start-up parameter that poolers know; they refuse others, such as the limits that `begin` sets.
    application_name: options.applicationName,
    max: options.maxConnections,
    connectionTimeoutMillis: options.connectTimeoutMs,
    idleTimeoutMillis: IDLE_TIMEOUT_MS,
    maxLifetimeSeconds: MAX_LIFETIME_SECONDS,
    query_timeout: options.answerTimeoutMs,
    keepAlive: true,
    // Statements go out without waiting for the answer to the one before; an answer that is late ends the connection.
    pipeline: true,
    Client: GuardedClient,
    stream: () => {
      const socket = new GatheringSocket();
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      return socket;
    },
  };
  const pool = new Pool(config);
  // See GuardedClient: the client is gone already.
  pool.on('error', () => undefined);
  return { pool, close: () => closePool(pool, sockets) };
}

async function closePool(pool: Pool, sockets: ReadonlySet<Socket>): Promise<void> {
  const ended = pool.end();
  const closed = Promise.all([ended, ...[...sockets].map(untilClosed)]);
  const timer = new AbortController();
  const late = delay(CLOSE_TIMEOUT_MS, undefined, { signal: timer.signal });
  await Promise.race([closed, late]);
  timer.abort();
  for (const socket of sockets) socket.destroy();
  await ended;
}

/** `once` of `node:events` fails where the server resets the connection first: then it is closed, too. */
function untilClosed(socket: Socket): Promise<unknown> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  socket.once('close', () => resolve(undefined));
  return promise;
}
