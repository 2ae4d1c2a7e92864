import { Client, Connection } from '@temporalio/client';
import { afterAll, describe, expect, it } from 'vitest';
import { clientsInTurn, createNamespaceClients, namespacesOf, parseNamespaces } from './namespaces.ts';

/** Never connected. */
const connection = Connection.lazy({ address: '127.0.0.1:1' });
afterAll(() => connection.close());
const clientOf = (namespace: string): Client => new Client({ connection, namespace });
const names = (clients: readonly Client[]): string[] => clients.map(({ options }) => options.namespace);
const USERS = Array.from({ length: 200 }, (_, index) => `user-${index}`);

describe('TEMPORAL_NAMESPACES', () => {
  it('names namespaces in their order, closed ones among them', () => {
    expect(parseNamespaces('missions, b.acct-1 ,c_3:closed')).toEqual([
      { name: 'missions', isOpen: true },
      { name: 'b.acct-1', isOpen: true },
      { name: 'c_3', isOpen: false },
    ]);
  });

  it.each([
    ['', /different names/],
    ['a,', /different names/],
    ['a,a', /different names/],
    ['a,a:closed', /different names/],
    ['a:open', /different names/],
    ['a b', /different names/],
    ['a:closed,b:closed', /all are closed/],
  ])('refuses %j', (text, problem) => {
    expect(() => parseNamespaces(text)).toThrow(problem);
  });
});

describe('clients of several namespaces', () => {
  it('users belong to open ones alone, all are asked, and the first has what belongs to no user', () => {
    const clients = createNamespaceClients(
      { namespace: 'b', namespaces: parseNamespaces('a:closed,b,c') },
      clientOf,
    );
    expect(clients.home.options.namespace).toBe('a');
    expect(names(clients.all)).toEqual(['a', 'b', 'c']);
    const belongs = new Set(USERS.map((userId) => clients.ofUser(userId).options.namespace));
    expect([...belongs].sort()).toEqual(['b', 'c']);
  });

  it('where things lie is looked for in the own namespace first', () => {
    const clients = createNamespaceClients({ namespace: 'a', namespaces: parseNamespaces('a,b') }, clientOf);
    for (const userId of USERS.slice(0, 20)) {
      const own = clients.ofUser(userId).options.namespace;
      expect(names(clientsInTurn(clients, userId))).toEqual(own === 'a' ? ['a', 'b'] : ['b', 'a']);
    }
  });

  it('one namespace has one client, that of before', () => {
    const client = clientOf('a');
    const clients = namespacesOf(client);
    expect(clients.all).toEqual([client]);
    expect([clients.home, clients.ofUser('any')]).toEqual([client, client]);
    expect(namespacesOf(clients)).toBe(clients);
    expect(createNamespaceClients({ namespace: 'a' }, () => client).all).toEqual([client]);
  });
});
