import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A reverse proxy on loopback that does what a block of nginx configuration in our docs says. */
export interface DocumentedProxy {
  readonly url: string;
  close(): Promise<void>;
}

interface Location {
  readonly matches: RegExp;
  readonly target: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
}

/**
 * @param nginx `location` blocks with `proxy_pass` and `proxy_set_header`, those with `~` before the one for `/`
 * @param addresses where what the block calls `http://…` is here
 * @throws Error for a line that this proxy does not understand: a rule that is not tried must not look tried
 */
export async function startDocumentedProxy(
  nginx: string,
  addresses: Readonly<Record<string, string>>,
): Promise<DocumentedProxy> {
  const locations = locationsOf(nginx, addresses);
  const server = createServer((request, response) => {
    const path = request.url ?? '/';
    const location = locations.find(({ matches }) => matches.test(path.split('?')[0] ?? ''));
    if (location === undefined) response.writeHead(404).end();
    else pass(request, response, location);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function locationsOf(nginx: string, addresses: Readonly<Record<string, string>>): Location[] {
  return [...nginx.matchAll(/^location (~ )?(\S+) \{\n(.*?)^\}/gms)].map(([, isPattern, path = '', body = '']) => {
    const headers: [string, string][] = [];
    let target: string | undefined;
    for (const line of body.split('\n').map((text) => text.trim().replace(/;$/, '')).filter((text) => text !== '')) {
      const [word, first = '', second = ''] = line.split(/\s+/);
      if (word === 'proxy_pass') target = addresses[first];
      else if (word === 'proxy_set_header') headers.push([first.toLowerCase(), second]);
      else throw new Error(`found ${line}, expected proxy_pass or proxy_set_header`);
    }
    if (target === undefined) throw new Error(`location ${path} passes to an address that the test does not know`);
    return { matches: new RegExp(isPattern === undefined ? `^${path}` : path), target, headers };
  }); // prettier-ignore
}

function pass(request: IncomingMessage, response: ServerResponse, { target, headers }: Location): void {
  const variables: Readonly<Record<string, string | undefined>> = {
    $host: request.headers.host,
    $remote_addr: request.socket.remoteAddress,
    $scheme: 'http',
  };
  const set = headers.map(([name, value]): [string, string] => [name, variables[value] ?? value]);
  const onward = httpRequest(
    new URL(request.url ?? '/', target),
    { method: request.method, headers: { ...request.headers, ...Object.fromEntries(set) } },
    (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    },
  );
  onward.on('error', () => response.writeHead(502).end());
  request.pipe(onward);
}
