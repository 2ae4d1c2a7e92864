import { Client, Connection } from '@temporalio/client';
import { afterAll, expect, it } from 'vitest';
import { GRPC_STATUS } from './grpc-status.ts';
import { createNamespaceClients, parseNamespaces, type NamespaceClients } from './namespaces.ts';
import { assertUsable } from './setup.ts';

const connections: Connection[] = [];
afterAll(() => Promise.all(connections.map((connection) => connection.close())));

/** Never connected: every call ends with the status, or well. */
function endingWith(code: number | undefined): Connection {
  const connection = Connection.lazy({ address: '127.0.0.1:1' });
  connections.push(connection);
  const end = () => Promise.reject(Object.assign(new Error('made up'), { code, details: '', metadata: {} }));
  return Object.assign(connection, { withDeadline: code === undefined ? () => Promise.resolve() : end });
}

const clientsOf = (codes: Readonly<Record<string, number | undefined>>): NamespaceClients =>
  createNamespaceClients(
    { namespace: 'first', namespaces: parseNamespaces('first,second,third') },
    (namespace) => new Client({ connection: endingWith(codes[namespace]), namespace }),
  );

it.each([GRPC_STATUS.UNAVAILABLE, GRPC_STATUS.DEADLINE_EXCEEDED, GRPC_STATUS.RESOURCE_EXHAUSTED])(
  'a second namespace that gives no answer (%i) is told of, the first is needed',
  async (code) => {
    const silent: string[] = [];
    const onNoAnswer = (namespace: string) => silent.push(namespace);
    await assertUsable(clientsOf({ second: code }), onNoAnswer);
    expect(silent).toEqual(['second']);
    await expect(assertUsable(clientsOf({ first: code }), onNoAnswer)).rejects.toThrow('made up');
  },
);

it('a namespace that refuses or is missing is an error, also beside one that gives no answer', async () => {
  const { UNAVAILABLE, NOT_FOUND, PERMISSION_DENIED } = { ...GRPC_STATUS, PERMISSION_DENIED: 7 };
  const ends = (third: number) => assertUsable(clientsOf({ second: UNAVAILABLE, third }), () => undefined);
  await expect(ends(PERMISSION_DENIED)).rejects.toThrow('made up');
  await expect(ends(NOT_FOUND)).rejects.toThrow('namespace third or its search attributes are missing');
});
