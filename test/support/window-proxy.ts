import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A moment of an exchange at which a process can be killed without a line of the product knowing of it. */
export interface Window {
  /** Text in what the process sends; the exchange that it begins is the one. */
  readonly awaited: string;
  /** What the process says at its end, such as `commit`. */
  readonly sends: string;
  /** What it hears then. */
  readonly hears: string;
  /** `before`: it was not said; `sent`: it was, and no answer came; `after`: it was answered, and the process does not know. */
  readonly moment: 'before' | 'sent' | 'after';
}

/** A way to a server that stands still in its window. */
export interface WindowProxy {
  readonly port: number;
  /** Resolves once the window is open, and stays so. */
  readonly held: Promise<unknown>;
  close(): Promise<void>;
}

/** @param target where the server really is */
export async function startWindowProxy(
  target: { readonly port: number },
  window: Window,
): Promise<WindowProxy> {
  const { promise: held, resolve: holding } = Promise.withResolvers<undefined>();
  const sockets = new Set<Socket>();
  const listener = createServer((client) => {
    const server = connect(target.port, '127.0.0.1');
    const state = { isAwaited: false, isSent: false, isHeld: false };
    const hold = (): void => {
      state.isHeld = true;
      holding(undefined);
    };
    client.on('data', (chunk) => {
      state.isAwaited ||= chunk.includes(window.awaited);
      state.isSent ||= state.isAwaited && chunk.includes(window.sends);
      if (state.isSent && window.moment === 'before') hold();
      if (!state.isHeld) server.write(chunk);
      if (state.isSent && window.moment === 'sent') hold();
    });
    server.on('data', (chunk) => {
      if (state.isSent && window.moment === 'after' && chunk.includes(window.hears)) hold();
      if (!state.isHeld) client.write(chunk);
    });
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(socket);
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
      socket.on('error', () => other.destroy());
    }
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  return {
    port: (listener.address() as AddressInfo).port,
    held,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      listener.close();
      await once(listener, 'close');
    },
  };
}
