import {
  connect,
  constants,
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';

/** A way to a Temporal server on which polls can be refused, as a server does that takes the worker for a stranger. */
export interface RefusingFrontend {
  /** `host:port`. */
  readonly address: string;
  /** From now on each poll for tasks ends with PERMISSION_DENIED; those under way end as they would. */
  refusePolls(): void;
  close(): Promise<void>;
}

const PERMISSION_DENIED = '7';

/** @param upstream `host:port` of the server */
export async function startRefusingFrontend(upstream: string): Promise<RefusingFrontend> {
  let refuses = false;
  const session = connect(`http://${upstream}`);
  const server = createServer();
  const sessions = new Set<{ destroy(): void }>();
  server.on('session', (opened) => {
    sessions.add(opened);
    opened.on('error', () => undefined);
  });
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => undefined);
    const path = String(headers[constants.HTTP2_HEADER_PATH]);
    if (refuses && /\/Poll\w+TaskQueue$/.test(path)) {
      stream.respond(
        { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': PERMISSION_DENIED },
        { endStream: true },
      );
      return;
    }
    // What belongs to one connection stays there.
    const asked = session.request({ ...headers, ':authority': upstream });
    asked.on('error', () => stream.destroy());
    stream.on('close', () => asked.close());
    let trailers: IncomingHttpHeaders = {};
    asked.on('trailers', (received: IncomingHttpHeaders) => {
      trailers = received;
    });
    asked.on('response', (answered, flags) => {
      const endStream = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
      stream.respond(answered, { endStream, waitForTrailers: !endStream });
      stream.on('wantTrailers', () => stream.sendTrailers(trailers));
      if (!endStream) asked.pipe(stream);
    });
    stream.pipe(asked);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    refusePolls: () => {
      refuses = true;
    },
    close: async () => {
      for (const opened of sessions) opened.destroy();
      session.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
