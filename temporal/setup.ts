import type { Client, Connection, ConnectionLike } from '@temporalio/client';
import { OwnError } from '#domain/base/errors.ts';
import { msToTs } from '@temporalio/common/lib/time.js';
import proto from '@temporalio/proto';
import { setTimeout as delay } from 'node:timers/promises';
import { SEARCH_ATTRIBUTE_NAMES } from '#domain/run/search-attributes.ts';
import { withCallDeadline } from './connection.ts';
import { GRPC_STATUS, hasGrpcStatus, isTemporalUnavailable } from './grpc-status.ts';
import type { NamespaceClients } from './namespaces.ts';

const DAY_MS = 86_400_000;
const DEFAULT_RETENTION_DAYS = 30;
/** Servers cache namespaces and search attributes: new ones take seconds, up to a minute, to be usable. */
const USABLE_WITHIN_MS = 120_000;
const POLL_EVERY_MS = 250;
const KEYWORD = proto.temporal.api.enums.v1.IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD;

export interface TemporalSetup {
  readonly namespaceCreated: boolean;
  readonly searchAttributesAdded: readonly string[];
}

/** What stands in the way of the set-up, and what to do about it. */
class TemporalSetupError extends OwnError {
  override readonly name = 'TemporalSetupError';
}

/**
 * Registers the namespace and our search attributes where they are missing, and waits until both are usable. Running
 * it again changes nothing.
 *
 * @param options.retentionDays how long the server keeps closed runs of a namespace that is created here
 * @throws TemporalSetupError if an attribute exists with another type, or if something is not usable within 2 minutes
 */
export async function setUpTemporal(
  connection: Connection,
  namespace: string,
  options: { readonly retentionDays?: number } = {},
): Promise<TemporalSetup> {
  const namespaceCreated = await createNamespace(
    connection,
    namespace,
    options.retentionDays ?? DEFAULT_RETENTION_DAYS,
  );
  const searchAttributesAdded = await addSearchAttributes(connection, namespace);
  await waitUntilUsable(connection, namespace);
  return { namespaceCreated, searchAttributesAdded };
}

async function createNamespace(
  connection: Connection,
  namespace: string,
  retentionDays: number,
): Promise<boolean> {
  const { workflowService } = connection;
  try {
    await withCallDeadline(connection, () => workflowService.describeNamespace({ namespace }));
    return false;
  } catch (error) {
    if (!hasGrpcStatus(error, GRPC_STATUS.NOT_FOUND)) throw error;
  }
  try {
    await withCallDeadline(connection, () =>
      workflowService.registerNamespace({
        namespace,
        workflowExecutionRetentionPeriod: msToTs(retentionDays * DAY_MS),
      }),
    );
    return true;
  } catch (error) {
    if (hasGrpcStatus(error, GRPC_STATUS.ALREADY_EXISTS)) return false;
    throw error;
  }
}

async function addSearchAttributes(connection: Connection, namespace: string): Promise<readonly string[]> {
  const { missing, otherTypes } = await withNamespaceReady(() => searchAttributesOf(connection, namespace));
  if (otherTypes.length > 0) {
    throw new TemporalSetupError(
      `namespace ${namespace}: ${otherTypes.join(', ')} exist with another type than Keyword; remove or rename them`,
    );
  }
  if (missing.length === 0) return [];
  const searchAttributes = Object.fromEntries(missing.map((name) => [name, KEYWORD]));
  try {
    await withCallDeadline(connection, () =>
      connection.operatorService.addSearchAttributes({ namespace, searchAttributes }),
    );
    return missing;
  } catch (error) {
    // Somebody else is setting up the same namespace; what is still missing then shows while we wait.
    if (hasGrpcStatus(error, GRPC_STATUS.ALREADY_EXISTS)) return [];
    throw error;
  }
}

/** Our search attributes that a namespace lacks, or has with another type. */
export async function searchAttributesOf(
  connection: Connection,
  namespace: string,
): Promise<{ readonly missing: readonly string[]; readonly otherTypes: readonly string[] }> {
  const { customAttributes: present } = await withCallDeadline(connection, () =>
    connection.operatorService.listSearchAttributes({ namespace }),
  );
  const names = Object.values(SEARCH_ATTRIBUTE_NAMES);
  return {
    missing: names.filter((name) => present[name] === undefined),
    otherTypes: names.filter((name) => present[name] !== undefined && present[name] !== KEYWORD),
  };
}

/**
 * Looks whether each of several namespaces takes what is to be moved into it: its schedule elsewhere is removed first. One that
 * does not answer must not keep the users of the others waiting; without the first there is nothing to do.
 *
 * @param onNoAnswer told of another than the first that does not answer; it was not looked at
 * @throws TemporalSetupError; of the first, and where a namespace refuses, gRPC errors of the SDK
 */
export async function assertUsable(
  { home, all }: Pick<NamespaceClients, 'home' | 'all'>,
  onNoAnswer: (namespace: string, error: unknown) => void,
): Promise<void> {
  const look = async (client: Client): Promise<void> => {
    const { namespace } = client.options;
    try {
      await useAttributes(client.connection, namespace);
    } catch (error) {
      if (isMissing(error))
        throw new TemporalSetupError(
          `namespace ${namespace} or its search attributes are missing: bin/yarn missions setup`,
          { cause: error },
        );
      if (client === home || !isTemporalUnavailable(error)) throw error;
      onNoAnswer(namespace, error);
    }
  };
  await Promise.all(all.length > 1 ? all.map(look) : []);
}

const waitUntilUsable = (connection: Connection, namespace: string): Promise<void> =>
  withNamespaceReady(() => useAttributes(connection, namespace));

/** Asks for each attribute in a query, which is how the frontend checks them when a run or a schedule is written. */
async function useAttributes(connection: ConnectionLike, namespace: string): Promise<void> {
  const query = Object.values(SEARCH_ATTRIBUTE_NAMES)
    .map((name) => `${name} = 'none'`)
    .join(' OR ');
  await withCallDeadline(connection, () =>
    connection.workflowService.countWorkflowExecutions({ namespace, query }),
  );
}

const isMissing = (error: unknown): boolean =>
  hasGrpcStatus(error, GRPC_STATUS.NOT_FOUND) || hasGrpcStatus(error, GRPC_STATUS.INVALID_ARGUMENT);

/** Retries while the server does not know yet what has just been registered. */
async function withNamespaceReady<Result>(call: () => Promise<Result>): Promise<Result> {
  const deadline = Date.now() + USABLE_WITHIN_MS;
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!isMissing(error)) throw error;
      if (Date.now() > deadline) {
        throw new TemporalSetupError(
          `namespace and search attributes were registered, but are not usable after ${USABLE_WITHIN_MS / 1000} s`,
          { cause: error },
        );
      }
      await delay(POLL_EVERY_MS);
    }
  }
}
