import { once } from 'node:events';
import { existsSync, createReadStream } from 'node:fs';
import { Connection } from '@temporalio/client';
import { Client } from 'pg';
import {
  MARK,
  type Asked,
  type AuditRow,
  type ChangeRow,
  type Facts,
  type GrantRow,
  type Run,
} from './facts.ts';

/** Where the checker looks. */
export interface Places {
  /** Connection strings of a superuser, who sees every row. */
  readonly syncUrl: string;
  readonly authUrl: string;
  readonly temporal: { readonly address: string; readonly namespace: string };
  readonly asked: readonly Asked[];
  /** Logs, and Temporal's database where it is a file. */
  readonly files: readonly string[];
}

/** What runs keep while they are under way, by docs/architecture.md section 4. */
const EMPTY_AT_REST = [
  ...['sealed_inputs', 'run_grants', 'model_calls', 'run_transcripts', 'run_keys', 'run_notes'],
  ...['research_tasks', 'run_slots', 'budget_reservations'],
] as const;

export async function readFacts(places: Places): Promise<Facts> {
  const [stored, temporal, inAuth, inFiles] = await Promise.all([
    connected(places.syncUrl, readSync),
    readTemporal(places.temporal),
    connected(places.authUrl, markedTables),
    markedFiles(places.files),
  ]);
  const { markedPlaces, ...rows } = stored;
  return {
    ...{ ...rows, ...temporal, asked: places.asked },
    markedPlaces: [...markedPlaces, ...inAuth, ...inFiles],
  };
}

async function connected<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({
    connectionString: url,
    connectionTimeoutMillis: 10_000,
    query_timeout: 120_000,
  });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

const ms = (column: string): string => `(extract(epoch from ${column}) * 1000)::float8`;

async function readSync(client: Client) {
  const all = async <Row extends object>(sql: string): Promise<Row[]> => (await client.query<Row>(sql)).rows;
  const [now] = await all<{ nowMs: number }>(`select ${ms('clock_timestamp()')} as "nowMs"`);
  const leftovers: Record<string, number> = {};
  for (const table of EMPTY_AT_REST) {
    const [row] = await all<{ count: number }>(`select count(*)::int as count from mana_ai.${table}`);
    leftovers[table] = row?.count ?? 0;
  }
  return {
    checkedAtMs: now?.nowMs ?? 0,
    missionRows: await all<ChangeRow>(
      `select id, user_id as "userId", record_id as "missionId", op, coalesce(data, '{}') as data,
        field_meta as "fieldMeta", client_id as "clientId", ${ms('created_at')} as "createdAtMs"
       from public.sync_changes where app_id = 'ai' and table_name = 'aiMissions' order by created_at, id`,
    ),
    usage: await all<Facts['usage'][number]>(
      `select mission_id as "missionId", round, ${ms('recorded_at')} as "recordedAtMs" from mana_ai.token_usage
       where purpose = 'plan'`,
    ),
    audit: (
      await all<Omit<AuditRow, 'seq' | 'id' | 'tsMicros'> & Record<'seq' | 'id' | 'tsMicros', string>>(
        `select user_id as "userId", seq::text, id::text, mission_id as "missionId", iteration_id as "iterationId",
          table_name as "tableName", record_id as "recordId", status, reason, hash,
          (extract(epoch from ts) * 1000000)::bigint::text as "tsMicros"
         from mana_ai.decrypt_audit order by user_id, decrypt_audit.seq`,
      )
    ).map((row) => ({ ...row, seq: BigInt(row.seq), id: BigInt(row.id), tsMicros: BigInt(row.tsMicros) })),
    grants: await all<GrantRow>(
      `select mission_id as "missionId", ${ms('issued_at')} as "issuedAtMs", ${ms('expires_at')} as "expiresAtMs",
        ${ms('revoked_at')} as "revokedAtMs" from mana_ai.mission_grants`,
    ),
    leftovers,
    markedPlaces: await markedTables(client),
  };
}

/** Also in bytes, which a row as text shows in hexadecimal digits. */
async function markedTables(client: Client): Promise<string[]> {
  const { rows: tables } = await client.query<{ name: string }>(
    `select format('%I.%I', schemaname, tablename) as name from pg_catalog.pg_tables
     where schemaname not in ('pg_catalog', 'information_schema')`,
  );
  const found: string[] = [];
  for (const { name } of tables) {
    const { rowCount } = await client.query(
      `select from ${name} as searched where strpos(searched::text, $1) > 0 or strpos(searched::text, $2) > 0 limit 1`,
      [MARK, Buffer.from(MARK).toString('hex')],
    );
    if (rowCount !== 0) found.push(`table ${name}`);
  }
  return found;
}

/** In clear and in base64, whose form depends on where in a group of three bytes the text begins. */
const FORMS = [
  MARK,
  ...[0, 1, 2].map((shift) =>
    Buffer.concat([Buffer.alloc(shift), Buffer.from(MARK)])
      .toString('base64')
      .slice(4, -4),
  ),
];

async function markedFiles(files: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const file of files.filter((name) => existsSync(name)))
    if (await holdsMark(file)) found.push(`file ${file}`);
  return found;
}

async function holdsMark(file: string): Promise<boolean> {
  let isFound = false;
  let before = '';
  const stream = createReadStream(file, 'latin1');
  stream.on('data', (chunk) => {
    const text = before + String(chunk);
    isFound ||= FORMS.some((form) => text.includes(form));
    before = text.slice(-2 * MARK.length);
  });
  await once(stream, 'close');
  return isFound;
}

async function readTemporal({
  address,
  namespace,
}: Places['temporal']): Promise<Pick<Facts, 'runs' | 'scheduledMissions'>> {
  const connection = await Connection.connect({ address, connectTimeout: 10_000 });
  try {
    return await connection.withDeadline(Date.now() + 120_000, async () => ({
      runs: await readRuns(connection, namespace),
      scheduledMissions: await readSchedules(connection, namespace),
    }));
  } finally {
    await connection.close();
  }
}

async function readRuns({ workflowService }: Connection, namespace: string): Promise<Run[]> {
  const runs: Run[] = [];
  let nextPageToken: Uint8Array = Buffer.alloc(0);
  do {
    const query = `WorkflowType = 'missionRun'`;
    const page = await workflowService.listWorkflowExecutions({
      namespace,
      query,
      pageSize: 1_000,
      nextPageToken,
    });
    for (const { execution, status, searchAttributes } of page.executions)
      runs.push({
        workflowId: execution?.workflowId ?? '',
        runId: execution?.runId ?? '',
        missionId: keywordOf(searchAttributes?.indexedFields?.['ManaMissionId']?.data),
        // WORKFLOW_EXECUTION_STATUS_RUNNING
        isRunning: Number(status) === 1,
      });
    ({ nextPageToken } = page);
  } while (nextPageToken.length > 0);
  return runs;
}

async function readSchedules({ workflowService }: Connection, namespace: string): Promise<string[]> {
  const missions: string[] = [];
  let nextPageToken: Uint8Array = Buffer.alloc(0);
  do {
    const page = await workflowService.listSchedules({ namespace, maximumPageSize: 1_000, nextPageToken });
    for (const { scheduleId, searchAttributes } of page.schedules)
      if (scheduleId?.startsWith('mission:') === true)
        missions.push(keywordOf(searchAttributes?.indexedFields?.['ManaMissionId']?.data));
    ({ nextPageToken } = page);
  } while (nextPageToken.length > 0);
  return missions;
}

const keywordOf = (data: Uint8Array | null | undefined): string =>
  data === null || data === undefined ? '' : String(JSON.parse(Buffer.from(data).toString('utf8')));
