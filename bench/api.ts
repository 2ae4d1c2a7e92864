import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import autocannon from 'autocannon';
import { quantile } from './measure.ts';
import type { Findings, PartOptions } from './results/result.ts';
import { grantRequest } from './system.ts';
import { createTemporaryDirectory } from '#dev/guardian.ts';
import { logTail, spawnProcess, waitUntilReady, type ManagedProcess } from '#dev/processes.ts';

const FULL = { connections: 64, seconds: 10, turns: 3 };
const SMALL: typeof FULL = { connections: 4, seconds: 1, turns: 1 };
const RECORDS = 20;

interface Server {
  readonly name: string;
  readonly process: ManagedProcess;
  readonly url: string;
  readonly token: string;
}

/** Grants a second with many connections: the API, and a bare Fastify that does the same cryptography and nothing else; in turns. */
export async function benchApi({ isSmall }: PartOptions): Promise<Findings> {
  const sizes = isSmall ? SMALL : FULL;
  const directory = createTemporaryDirectory('mana-bench-');
  const servers: Server[] = [];
  try {
    for (const kind of ['product', 'bare'] as const) servers.push(await startServer(kind, directory.path));
    const rates = new Map(servers.map(({ name }): [string, number[]] => [name, []]));
    const p99s = new Map(servers.map(({ name }): [string, number[]] => [name, []]));
    for (const server of servers) await load(server, { ...sizes, seconds: 2 });
    for (let turn = 0; turn < sizes.turns; turn += 1) {
      for (const server of turn % 2 === 0 ? servers : servers.toReversed()) {
        const { requests, latency } = await load(server, sizes);
        rates.get(server.name)?.push(requests.average);
        p99s.get(server.name)?.push(latency.p99);
      }
    }
    const median = (name: string): number => quantile(rates.get(name) ?? [], 0.5);
    return {
      settings: {
        connections: sizes.connections,
        'seconds a turn': sizes.seconds,
        'records a grant': RECORDS,
      },
      tables: [
        {
          title: `POST /api/v1/me/ai-mission-grant with ${sizes.connections} connections`,
          header: ['server', 'grants a second', 'p99 (ms)', 'ratio to the bare one'],
          rows: servers.map(({ name }) => [
            ...[name, rates.get(name) ?? [], p99s.get(name) ?? []],
            median(name) / median('bare Fastify, the same cryptography'),
          ]),
        },
      ],
    };
  } finally {
    for (const { process } of servers) await process.stop();
    directory.remove();
  }
}

async function startServer(kind: 'product' | 'bare', directory: string): Promise<Server> {
  const logFile = join(directory, `${kind}.log`);
  const started = await spawnProcess({
    ...{ name: `the ${kind} server`, command: process.execPath, logFile, env: {} },
    args: [join(import.meta.dirname, 'api', 'server.ts'), kind],
  });
  const said = (): string | undefined => /listening (.*)/.exec(logTail(logFile))?.[1];
  await waitUntilReady(started, () => Promise.resolve(said() !== undefined), 60_000);
  const { url, token } = JSON.parse(said() ?? '') as { readonly url: string; readonly token: string };
  const name = kind === 'product' ? 'the API' : 'bare Fastify, the same cryptography';
  return { name, process: started, url, token };
}

/** @throws Error where a request was not answered with a grant */
async function load({ name, url, token }: Server, { connections, seconds }: typeof FULL) {
  const noteIds = Array.from({ length: RECORDS }, () => randomUUID());
  const result = await autocannon({
    ...{ url: `${url}/api/v1/me/ai-mission-grant`, connections, duration: seconds, method: 'POST' },
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    // Each for a mission of its own: grants of one mission are minted one after the other.
    requests: [
      {
        setupRequest: (request) => ({
          ...request,
          body: JSON.stringify(grantRequest(randomUUID(), noteIds)),
        }),
      },
    ],
  });
  const failed = result.non2xx + result.errors + result.timeouts;
  if (failed > 0 || result['2xx'] === 0) throw new Error(`${name}: found ${failed} requests without a grant`);
  return result;
}
