/**
 * What may be said of an error that is not ours, in our own words. Its own text may quote values of users, so it is looked at and
 * never repeated; what is not listed here stays unsaid.
 */

/** By SQLSTATE, code of Node or of OpenSSL, or gRPC status. */
const BY_CODE: Readonly<Record<string, string>> = {
  // PostgreSQL: https://www.postgresql.org/docs/current/errcodes-appendix.html
  '28P01': 'wrong password: the database does not take the one of this user',
  '28000': 'the database does not let this user in: no such role, or pg_hba.conf refuses it',
  '3D000': 'missing database: the server has none of this name',
  '3F000': 'missing schema: run the migrations',
  '42P01': 'missing table: run the migrations',
  '42703': 'missing column: run the migrations',
  '42883': 'missing function: run the migrations',
  '42501':
    'missing right: the role of this process may not do this; run the migrations, and check its group role',
  '25006': 'the database is read-only: this is a standby',
  '53100': 'the disk of the database is full',
  '53300': 'the database has no connection left',
  '55P03': 'a lock was not to be had in time',
  '40001': 'a transaction met another one',
  '40P01': 'a transaction met another one',
  '57014': 'the statement took too long, or an operator ended it',
  '57P01': 'the database was shut down, or an operator ended the connection',
  '57P03': 'the database is starting up or shutting down',
  // Sockets and files.
  EADDRINUSE: 'taken port: another process listens there',
  EADDRNOTAVAIL: 'this machine has no such address to listen on',
  EACCES: 'not allowed by the operating system',
  ECONNREFUSED: 'refused connection: nothing listens there',
  ECONNRESET: 'the connection was ended from the other side',
  EPIPE: 'the connection was ended from the other side',
  EHOSTUNREACH: 'unreachable host: no route leads there',
  ENETUNREACH: 'unreachable network: no route leads there',
  ETIMEDOUT: 'no answer in time',
  ENOTFOUND: 'unknown host: its name does not resolve',
  EAI_AGAIN: 'the name service does not answer',
  ENOENT: 'missing file',
  EMFILE: 'this process has too many files open',
  UND_ERR_CONNECT_TIMEOUT: 'no connection in time',
  UND_ERR_HEADERS_TIMEOUT: 'no answer in time',
  UND_ERR_BODY_TIMEOUT: 'no answer in time',
  UND_ERR_SOCKET: 'the connection was ended from the other side',
  // TLS.
  CERT_HAS_EXPIRED: 'the certificate of the other side has expired',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'the certificate of the other side is signed by itself',
  SELF_SIGNED_CERT_IN_CHAIN: 'the certificate of the other side is of an unknown authority',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'the certificate of the other side is of an unknown authority',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'the certificate of the other side is of an unknown authority',
  ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate of the other side is for another name',
  // gRPC.
  UNAVAILABLE: 'the Temporal server cannot be reached, or cannot serve now',
  DEADLINE_EXCEEDED: 'the Temporal server did not answer in time',
  UNAUTHENTICATED: 'the Temporal server does not take the API key or certificate',
  PERMISSION_DENIED: 'the Temporal server does not allow this: check API key and namespace',
  RESOURCE_EXHAUSTED: 'the Temporal server is asked too much: a limit of the namespace',
};

const MISSING_NAMESPACE = 'missing namespace: the Temporal server has none of the name in TEMPORAL_NAMESPACE';

/** The driver's own texts, which have no code. */
const BY_TEXT: Readonly<Record<string, string>> = {
  'timeout exceeded when trying to connect':
    'no connection to the database in time: all are in use, or it does not answer',
  'timeout expired': 'no connection to the database in time',
  'Connection terminated': 'the connection to the database has ended',
  'Connection terminated unexpectedly': 'the connection to the database has ended',
  'Connection terminated due to connection timeout': 'no connection to the database in time',
  'Query read timeout': 'the database did not answer in time',
  'The server does not support SSL connections': 'the database speaks no TLS, which the URL asks for',
  'SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string':
    'the database asks for a password, and the URL has none',
};

/** What the core of Temporal's SDK reports by a text alone, by words that stand in it. */
const OF_CORE: readonly (readonly [RegExp, string])[] = [
  [/NamespaceNotFoundFailure/, MISSING_NAMESPACE],
  [/ConnectError\("dns error"/, BY_CODE['ENOTFOUND'] ?? ''],
  [/kind: ConnectionRefused/, BY_CODE['ECONNREFUSED'] ?? ''],
  [/kind: TimedOut|deadline has elapsed/, BY_CODE['ETIMEDOUT'] ?? ''],
  [/InvalidContentType/, 'TLS is on here, and the other side speaks none'],
  [/UnknownIssuer/, BY_CODE['SELF_SIGNED_CERT_IN_CHAIN'] ?? ''],
  [/code: Unauthenticated/, BY_CODE['UNAUTHENTICATED'] ?? ''],
  [/code: PermissionDenied/, BY_CODE['PERMISSION_DENIED'] ?? ''],
];

/**
 * @param code as `describeError` names it, or null
 * @returns null for an error of which nothing may be said but its type, code and place
 */
export function safeMessageOf(error: Error, code: string | null): string | null {
  if (error.name === 'NamespaceNotFoundError') return MISSING_NAMESPACE;
  if (error.name === 'TransportError')
    return OF_CORE.find(([words]) => words.test(error.message))?.[1] ?? null;
  if (code === 'NOT_FOUND' && /^Namespace .* is not found\.?$/.test(detailsOf(error)))
    return MISSING_NAMESPACE;
  return saidBy(BY_CODE, code ?? '') ?? saidBy(BY_TEXT, error.message);
}

const saidBy = (texts: Readonly<Record<string, string>>, key: string): string | null =>
  Object.hasOwn(texts, key) ? (texts[key] ?? null) : null;

const detailsOf = (error: Error): string =>
  'details' in error && typeof error.details === 'string' ? error.details : '';
