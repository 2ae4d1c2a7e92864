import { Client } from 'pg';

/** What stands between a process and PostgreSQL, as far as two connections can see. */
export interface ConnectionKind {
  /**
   * `direct`: PostgreSQL itself. `session`: a pooler that lends a connection for as long as ours lives. `transaction`: one that
   * lends it for a transaction.
   */
  readonly kind: 'direct' | 'session' | 'transaction';
  /** Whether a statement that was prepared by name is found again; null where every transaction has the same connection. */
  readonly keepsStatements: boolean | null;
  /** Of the server's clock against ours at that moment: positive when it is ahead; whole milliseconds. */
  readonly clockAheadMs: number;
  /** Half the round trip, by which `clockAheadMs` may be off. */
  readonly clockErrorMs: number;
}

/** SQLSTATE: a prepared statement that is not there; one that is there already. */
const LOST_STATEMENT: ReadonlySet<string> = new Set(['26000', '42P05']);
const UNDEFINED_BACKEND = 0;

/**
 * Looks by two connections of its own. A pooler gives its clients process ids that it made up, and, by the transaction, one
 * connection of two to whoever comes first.
 *
 * @throws errors of the driver
 */
export async function lookAtConnection(
  url: string,
  options: { readonly applicationName: string; readonly timeoutMs: number },
): Promise<ConnectionKind> {
  const open = async (): Promise<Client> => {
    const client = new Client({
      connectionString: url,
      application_name: options.applicationName,
      connectionTimeoutMillis: options.timeoutMs,
      query_timeout: options.timeoutMs,
    });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  };
  const ours = await open();
  try {
    const clock = await clockOf(ours);
    const backend = await backendOf(ours);
    if (backend === announcedBackend(ours)) return { kind: 'direct', keepsStatements: null, ...clock };
    const others = await open();
    try {
      return { ...(await pooled(ours, others)), ...clock };
    } finally {
      await others.end();
    }
  } finally {
    await ours.end();
  }
}

/** The driver has it from the server's start-up message, and does not declare it. */
const announcedBackend = (client: Client): number =>
  'processID' in client && typeof client.processID === 'number' ? client.processID : UNDEFINED_BACKEND;

async function clockOf(client: Client): Promise<Pick<ConnectionKind, 'clockAheadMs' | 'clockErrorMs'>> {
  const sentMs = Date.now();
  const { rows } = await client.query<{ ms: number }>(
    `select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms`,
  );
  const clockErrorMs = Math.ceil((Date.now() - sentMs) / 2);
  return { clockAheadMs: Math.round((rows[0]?.ms ?? 0) - sentMs - clockErrorMs), clockErrorMs };
}

async function backendOf(client: Client): Promise<number> {
  const { rows } = await client.query<{ pid: number }>('select pg_catalog.pg_backend_pid() as pid');
  return rows[0]?.pid ?? UNDEFINED_BACKEND;
}

/** The others' open transaction takes the connection that we had last, so that the next statement of ours goes by another one. */
async function pooled(
  ours: Client,
  others: Client,
): Promise<Pick<ConnectionKind, 'kind' | 'keepsStatements'>> {
  const named = { name: 'mana_missions_doctor', text: 'select pg_catalog.pg_backend_pid() as pid' };
  const prepared = await ours.query<{ pid: number }>(named);
  await others.query('begin');
  try {
    await backendOf(others);
    const now = await backendOf(ours);
    if (now === prepared.rows[0]?.pid) return { kind: 'session', keepsStatements: null };
    return { kind: 'transaction', keepsStatements: await isFound(ours, named) };
  } finally {
    await others.query('rollback');
  }
}

async function isFound(
  client: Client,
  named: { readonly name: string; readonly text: string },
): Promise<boolean> {
  try {
    await client.query(named);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && LOST_STATEMENT.has(String(error.code))) return false;
    throw error;
  }
}
