import type { Client } from '@temporalio/client';
import { rendezvous } from '#crypto/rendezvous.ts';
import { OwnError } from '#domain/base/errors.ts';

/** A namespace of `TEMPORAL_NAMESPACES`. */
export interface Namespace {
  readonly name: string;
  /** Whether users belong to it; one that is closed is asked all the same, for what is still there. */
  readonly isOpen: boolean;
}

/** `TEMPORAL_NAMESPACES`, or what it says together with `TEMPORAL_NAMESPACE`, cannot be used. */
export class NamespacesError extends OwnError {
  override readonly name = 'NamespacesError';
  readonly variable: 'TEMPORAL_NAMESPACES' | 'TEMPORAL_NAMESPACE';
  readonly problem: string;
  constructor(variable: NamespacesError['variable'], problem: string) {
    super(`${variable}: ${problem}`);
    this.variable = variable;
    this.problem = problem;
  }
}

const CLOSED = ':closed';
const POSSIBLE_NAME = /^[A-Za-z\d][\w.-]{0,254}$/;

/**
 * Reads `a,b,c:closed`.
 *
 * @throws NamespacesError
 */
export function parseNamespaces(text: string): readonly Namespace[] {
  const namespaces = text.split(',').map((item): Namespace => {
    const isOpen = !item.trim().endsWith(CLOSED);
    return { name: isOpen ? item.trim() : item.trim().slice(0, -CLOSED.length), isOpen };
  });
  const names = namespaces.map(({ name }) => name);
  if (!names.every((name) => POSSIBLE_NAME.test(name)) || new Set(names).size < names.length)
    throw new NamespacesError(
      'TEMPORAL_NAMESPACES',
      `cannot be used; expected different names of namespaces, comma-separated, each with ${CLOSED} behind it if no user is to belong to it`,
    );
  if (!namespaces.some(({ isOpen }) => isOpen))
    throw new NamespacesError('TEMPORAL_NAMESPACES', 'all are closed: users have to belong to one');
  return namespaces;
}

/**
 * The clients of all namespaces of the service (docs/adr/0021-users-over-several-namespaces.md). Where something new of a user
 * belongs is for `ofUser` to say; where something lies is to be asked of `all`, for its user may have belonged elsewhere.
 */
export interface NamespaceClients {
  /** Of the first namespace, where the work is that belongs to no user. */
  readonly home: Client;
  /** Home first. */
  readonly all: readonly Client[];
  readonly ofUser: (userId: string) => Client;
}

/** Where there is one namespace, its client stands for all. */
export type Clients = Client | NamespaceClients;

/**
 * @param namespaces undefined: the one that `clientOf` is given
 * @param namespace of the process itself
 */
export function createNamespaceClients(
  { namespace, namespaces }: { readonly namespace: string; readonly namespaces?: readonly Namespace[] },
  clientOf: (namespace: string) => Client,
): NamespaceClients {
  if (namespaces === undefined) return oneNamespace(clientOf(namespace));
  const clients = new Map(namespaces.map(({ name }) => [name, clientOf(name)]));
  const open = namespaces.filter(({ isOpen }) => isOpen).map(({ name }) => name);
  const all = [...clients.values()];
  const of = (name: string | undefined): Client => {
    const client = name === undefined ? undefined : clients.get(name);
    if (client === undefined) throw new TypeError('namespaces: found one without a client');
    return client;
  };
  return { home: of(namespaces[0]?.name), all, ofUser: (userId) => of(rendezvous(userId, open)) };
}

const oneNamespace = (client: Client): NamespaceClients => ({
  ...{ home: client, all: [client], ofUser: () => client },
});

export const namespacesOf = (clients: Clients): NamespaceClients =>
  'ofUser' in clients ? clients : oneNamespace(clients);

/** The user's own namespace first: that is where most of what is looked for lies. */
export function clientsInTurn({ all, ofUser }: NamespaceClients, userId: string): readonly Client[] {
  const own = ofUser(userId);
  return [own, ...all.filter((client) => client !== own)];
}

/** What the first client has that has it; null if none does. */
export async function findIn<Found>(
  clients: readonly Client[],
  look: (client: Client) => Promise<Found | null>,
): Promise<Found | null> {
  for (const client of clients) {
    const found = await look(client);
    if (found !== null) return found;
  }
  return null;
}
