import {
  Client,
  Connection,
  defaultGrpcRetryOptions,
  makeGrpcRetryInterceptor,
  type ConnectionLike,
  type ConnectionOptions,
  type WorkflowClientInterceptor,
} from '@temporalio/client';
import { OwnError } from '#domain/base/errors.ts';
import type { DataConverter } from '@temporalio/common';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import {
  createNamespaceClients,
  NamespacesError,
  parseNamespaces,
  type Namespace,
  type NamespaceClients,
} from './namespaces.ts';

/** Where Temporal is and how to get in. */
export interface TemporalConfig {
  /** `host:port`. */
  readonly address: string;
  /** Whose tasks the workers of the process take. */
  readonly namespace: string;
  /** All of the service, `namespace` among them. Absent: it is the only one. */
  readonly namespaces?: readonly Namespace[];
  /** Absent: no TLS, or plain TLS if there is an API key. */
  readonly tls?: NonNullable<ConnectionOptions['tls']>;
  readonly apiKey?: string;
  /** gRPC headers of every call. */
  readonly metadata?: Record<string, string>;
}

const DEFAULT_ADDRESS = 'localhost:7233';
const DEFAULT_NAMESPACE = 'default';
/** First connect; a process that cannot reach Temporal should say so and end. */
export const CONNECT_TIMEOUT_MS = 10_000;
/** Without a deadline a call may wait for ever (SDK documentation of `Connection.withDeadline`). */
const CALL_DEADLINE_MS = 10_000;

/**
 * Reads the standard `TEMPORAL_*` variables: address, namespace, API key, TLS by path or data, gRPC headers; and ours,
 * `TEMPORAL_NAMESPACES`. A configuration file is read only if `TEMPORAL_CONFIG_FILE` names one: a service must not depend on what lies in the
 * home directory of its user.
 *
 * @throws Error if a file that a variable names cannot be read; NamespacesError
 * @see @temporalio/envconfig
 */
export function loadTemporalConfig(env: Readonly<Record<string, string | undefined>>): TemporalConfig {
  const set = Object.entries(env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== '',
  );
  const { connectionOptions, namespace } = readProfile(Object.fromEntries(set));
  const { address, tls, apiKey, metadata } = connectionOptions;
  const list = set.find(([name]) => name === 'TEMPORAL_NAMESPACES')?.[1];
  return {
    address: address ?? DEFAULT_ADDRESS,
    ...(list === undefined ? { namespace: namespace ?? DEFAULT_NAMESPACE } : oneOf(list, namespace)),
    ...(tls !== undefined && tls !== null && { tls }),
    ...(apiKey !== undefined && { apiKey }),
    ...(metadata !== undefined && { metadata: textMetadata(metadata) }),
  };
}

/** The library quotes what it cannot read, and a file that is none of Temporal's may hold secrets. */
function readProfile(set: Readonly<Record<string, string>>): ReturnType<typeof loadClientConnectConfig> {
  const { TEMPORAL_CONFIG_FILE: file, TEMPORAL_PROFILE: profile = 'default' } = set;
  try {
    return loadClientConnectConfig({ overrideEnvVars: { ...set }, disableFile: file === undefined });
  } catch (error) {
    // A code is that of a certificate's file, which the message names.
    if (file === undefined || (error instanceof Error && 'code' in error)) throw error;
    throw new TemporalConfigFileError(
      `TEMPORAL_CONFIG_FILE: expected a TOML file of Temporal's clients with a profile "${profile}"`,
    );
  }
}

export class TemporalConfigFileError extends OwnError {
  override readonly name = 'TemporalConfigFileError';
}

/** @param namespace of the process; the first unless set */
function oneOf(
  list: string,
  namespace: string | undefined,
): Pick<TemporalConfig, 'namespace' | 'namespaces'> {
  const namespaces = parseNamespaces(list);
  const own = namespace ?? namespaces[0]?.name;
  if (own === undefined || !namespaces.some(({ name }) => name === own))
    throw new NamespacesError('TEMPORAL_NAMESPACE', 'is none of TEMPORAL_NAMESPACES');
  return { namespace: own, namespaces };
}

const textMetadata = (metadata: Readonly<Record<string, string | Buffer>>): Record<string, string> =>
  Object.fromEntries(Object.entries(metadata).map(([name, value]) => [name, value.toString()]));

/** The part of a configuration that clients and workers share. */
export const toConnectionOptions = ({ address, tls, apiKey, metadata }: TemporalConfig) => ({
  address,
  ...(tls !== undefined && { tls }),
  ...(apiKey !== undefined && { apiKey }),
  ...(metadata !== undefined && { metadata }),
});

/**
 * Opens the gRPC connection of a client.
 *
 * @throws TemporalUnreachableError with the address if the server does not answer in time
 */
export async function connect(config: TemporalConfig, timeoutMs = CONNECT_TIMEOUT_MS): Promise<Connection> {
  const connection = Connection.lazy({ ...toConnectionOptions(config), connectTimeout: timeoutMs });
  try {
    await connection.ensureConnected();
    return connection;
  } catch (error) {
    await connection.close();
    throw new TemporalUnreachableError(config.address, { cause: error });
  }
}

export class TemporalUnreachableError extends OwnError {
  override readonly name = 'TemporalUnreachableError';
  readonly address: string;
  constructor(address: string, options?: ErrorOptions) {
    super(`no Temporal server answers at ${address}; check TEMPORAL_ADDRESS, TLS and API key`, options);
    this.address = address;
  }
}

export interface ConnectedClient {
  /** Of the home namespace. */
  readonly client: Client;
  /** Of all namespaces; they share the connection. */
  readonly clients: NamespaceClients;
  close(): Promise<void>;
}

/**
 * A client with our data converter. Its calls have no deadline of their own: wrap them in `withCallDeadline`.
 *
 * @throws TemporalUnreachableError
 */
export async function connectClient(
  config: TemporalConfig,
  dataConverter: DataConverter,
): Promise<ConnectedClient> {
  const connection = await connect(config);
  const clients = createNamespaceClients(
    config,
    (namespace) => new Client({ connection, namespace, dataConverter }),
  );
  return { client: clients.home, clients, close: () => connection.close() };
}

/** After an outage the next attempt comes soon; gRPC would wait up to two minutes. */
const LONGEST_RECONNECT_PAUSE_MS = 5_000;
/** About a second in all. */
const ATTEMPTS_WHILE_SOMEBODY_WAITS = 4;

/**
 * A client for requests of users: without a server at first, connected by the first call, and quick to say that nobody
 * answers.
 */
export function openClient(
  config: TemporalConfig,
  dataConverter: DataConverter,
  workflow: WorkflowClientInterceptor[] = [],
): ConnectedClient {
  const connection = Connection.lazy({
    ...toConnectionOptions(config),
    channelArgs: { 'grpc.max_reconnect_backoff_ms': LONGEST_RECONNECT_PAUSE_MS },
    interceptors: [
      makeGrpcRetryInterceptor(defaultGrpcRetryOptions({ maxAttempts: ATTEMPTS_WHILE_SOMEBODY_WAITS })),
    ],
  });
  const clients = createNamespaceClients(
    config,
    (namespace) => new Client({ connection, namespace, dataConverter, interceptors: { workflow } }),
  );
  return { client: clients.home, clients, close: () => connection.close() };
}

/** Runs calls of a client with one deadline for all of them. */
export const withCallDeadline = <Result>(
  connection: ConnectionLike,
  call: () => Promise<Result>,
  deadlineMs = CALL_DEADLINE_MS,
): Promise<Result> => connection.withDeadline(Date.now() + deadlineMs, call);
