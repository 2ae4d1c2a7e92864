import { EXPECTED_SCHEMA_VERSION } from '#db/readiness.ts';

/**
 * Who may do what in the databases: one entry for each table, one line for each role. What is not listed is refused.
 * rights-matrix.test.ts checks every cell, and fails for a table without an entry.
 */
export const ROLES = ['api', 'vault', 'runner', 'projection', 'maintenance'] as const;
export type Role = (typeof ROLES)[number];
export const VERBS = ['select', 'insert', 'update', 'delete'] as const;
export type Verb = (typeof VERBS)[number];

export type Row = Readonly<Record<string, unknown>>;
/** Whether a statement of somebody who set `userId` (empty: nobody) reaches this row, or may insert it. */
export type Rule = (row: Row, userId: string) => boolean;
export interface Right {
  readonly columns: '*' | readonly string[];
  readonly rows: Rule;
}

export interface TableRights {
  readonly database: 'sync' | 'auth';
  readonly name: string;
  readonly rights: Readonly<Partial<Record<Role, Readonly<Partial<Record<Verb, Right>>>>>>;
  /** Columns that no update may set to one value in all rows. */
  readonly key: readonly string[];
  /** All rows of the table while it is checked. */
  readonly rows: readonly Row[];
  /** True for rows that the migrations made, or that a view makes of another table's. */
  readonly hasRowsAlready?: boolean;
  /** Nobody can write to it, whatever the rights. */
  readonly isGrouped?: boolean;
  /** Rows that each role tries to insert. */
  readonly candidates: readonly Row[];
}

const all: Rule = () => true;
const own: Rule = (row, userId) => row['user_id'] === userId;

/** The column list as SQL writes it; `*` for all, later ones included. */
const right =
  (rows: Rule) =>
  (columns: string): Right => ({ columns: columns === '*' ? '*' : columns.split(/,\s*/), rows });
const ofOwn = right(own);
const ofAll = right(all);

/** Two rows of Alice, three of Bob; candidates of both. Numbers keep keys apart. */
const perUser = (row: (userId: string, n: number) => Row): Pick<TableRights, 'rows' | 'candidates'> => ({
  rows: [row('alice', 1), row('alice', 2), row('bob', 3), row('bob', 4), row('bob', 5)],
  candidates: [row('alice', 91), row('bob', 92)],
});
const mana = (
  table: string,
  key: readonly string[],
  rows: Pick<TableRights, 'rows' | 'candidates' | 'hasRowsAlready' | 'isGrouped'>,
  rights: TableRights['rights'],
): TableRights => ({ database: 'sync', name: `mana_ai.${table}`, key, ...rows, rights });

const NOW = '2026-01-01T00:00:00Z';
const LONG_AGO = '2020-01-01T00:00:00Z';
const backlogOf = (userId: string): Row => ({
  ...{
    user_id: userId,
    after_at: NOW,
    after_id: '00000000-0000-4000-8000-000000000001',
    is_first_build: false,
  },
});
const FAR_AHEAD = '2999-01-01T00:00:00Z';
const bytes = (length: number, n = 0): Buffer => Buffer.alloc(length, n);

const auditRow = (userId: string, n: number): Row => ({
  id: 1000 + n,
  user_id: userId,
  mission_id: 'm',
  iteration_id: 'it',
  table_name: 'notes',
  record_id: `n${n}`,
  status: 'ok',
  reason: null,
  ts: NOW,
});
/** The order matters: sealed rows refer to audit rows. */
const MANA_AI: readonly TableRights[] = [
  mana(
    'mission_grants',
    ['user_id', 'wrapped_key_sha256'],
    perUser((userId, n) => ({
      user_id: userId,
      wrapped_key_sha256: bytes(32, n),
      mission_id: `m${n}`,
      version: n === 3 ? 'v1' : 'v2',
      tables: ['notes'],
      record_ids: ['notes:n1'],
      key_id: 'k',
      origin: 'minted',
      issued_at: LONG_AGO,
      // Bob's: an expired v1 grant, an expired v2 grant, a live one.
      expires_at: n === 3 || n === 4 ? LONG_AGO : FAR_AHEAD,
      revoked_at: null,
      first_used_at: null,
      pinned_agent_id: null,
    })),
    {
      api: { select: ofOwn('*'), insert: ofOwn('*'), update: ofOwn('revoked_at') },
      vault: { select: ofOwn('*'), insert: ofOwn('*'), update: ofOwn('revoked_at, first_used_at, pinned_agent_id') },
      runner: { select: ofOwn('user_id, wrapped_key_sha256, mission_id, expires_at, revoked_at') },
      projection: { select: ofOwn('user_id, mission_id, issued_at, revoked_at'), update: ofOwn('revoked_at') },
      maintenance: {
        select: right(expiredV2)('version, expires_at'),
        delete: right(expiredV2)('*'),
      },
    }, // prettier-ignore
  ),
  mana(
    'mission_revocations',
    ['user_id', 'mission_id'],
    perUser((userId, n) => ({ user_id: userId, mission_id: `m${n}`, revoked_at: NOW })),
    {
      api: { select: ofOwn('*'), insert: ofOwn('*'), update: ofOwn('revoked_at') },
      vault: { select: ofOwn('*') },
    },
  ),
  mana('decrypt_audit', ['id'], perUser(auditRow), {
    api: { select: ofOwn('*') },
    vault: {
      select: ofOwn('id, user_id, mission_id, iteration_id, table_name, record_id, status'),
      insert: ofOwn('user_id, mission_id, iteration_id, table_name, record_id, status, reason'),
    },
    projection: { select: ofAll('user_id, seq, hash') },
    maintenance: { select: ofAll('*') },
  }),
  mana(
    'audit_checkpoints',
    ['user_id', 'seq'],
    perUser((userId, n) => ({ user_id: userId, seq: n, hash: bytes(32), key_id: 'k', signature: bytes(64) })),
    {
      api: { select: ofOwn('user_id, seq, hash') },
      projection: { select: ofAll('user_id, seq, hash') },
      maintenance: { select: ofAll('*') },
    },
  ),
  mana(
    'sealed_inputs',
    ['user_id', 'run_id'],
    perUser((userId, n) => ({
      user_id: userId,
      run_id: `run-${n}`,
      table_name: 'notes',
      record_id: `n${n}`,
      mission_id: 'm',
      sealed: bytes(1),
      audit_id: userId === 'alice' ? 1001 : 1003,
    })),
    {
      api: { select: ofOwn('user_id, mission_id'), delete: ofOwn('*') },
      vault: { select: ofOwn('*'), insert: ofOwn('*') },
      runner: { select: ofOwn('*'), delete: ofOwn('*') },
    },
  ),
  mana(
    'own_ciphertexts',
    ['user_id', 'table_name', 'record_id', 'sha256'],
    perUser((userId, n) => ({
      user_id: userId,
      table_name: 'aiMissions',
      record_id: `m${n}`,
      sha256: bytes(32, n),
      elsewhere: false,
    })),
    { vault: { select: ofOwn('*'), insert: ofOwn('*'), delete: ofOwn('*') } },
  ),
  mana(
    'run_grants',
    ['user_id', 'run_id'],
    perUser((userId, n) => ({
      user_id: userId,
      run_id: `run-${n}`,
      mission_id: 'm',
      mission_grant: { wrappedKey: 'x' },
    })),
    {
      vault: { select: ofOwn('*'), insert: ofOwn('*') },
      runner: { select: ofOwn('*'), delete: ofOwn('*') },
    },
  ),
  mana(
    'run_transcripts',
    ['user_id', 'iteration_id'],
    perUser((userId, n) => ({ user_id: userId, iteration_id: `it-${n}`, round: 1, mission_id: 'm', entry: bytes(1) })),
    { runner: { select: ofOwn('*'), insert: ofOwn('*'), delete: ofOwn('*') } },
  ), // prettier-ignore
  mana(
    'model_calls',
    ['user_id', 'iteration_id'],
    perUser((userId, n) => ({
      user_id: userId,
      iteration_id: `it-${n}`,
      key_id: bytes(8),
      round: 1,
      purpose: 'plan',
      mission_id: 'm',
      ...{ request: bytes(1), reply: bytes(1), entry: bytes(1), failures: 1, refusals: 0, unreadable: 0 },
    })),
    {
      runner: {
        select: ofOwn('*'),
        insert: ofOwn('*'),
        update: ofOwn('request, reply, entry, failures, refusals, unreadable'),
        delete: ofOwn('*'),
      },
    },
  ),
  mana(
    'run_keys',
    ['user_id', 'iteration_id'],
    perUser((userId, n) => ({
      user_id: userId,
      iteration_id: `it-${n}`,
      mission_id: 'm',
      wrapped_key: bytes(1),
    })),
    { runner: { select: ofOwn('*'), insert: ofOwn('*'), update: ofOwn('wrapped_key'), delete: ofOwn('*') } },
  ),
  mana(
    'run_notes',
    ['user_id', 'iteration_id', 'kind'],
    perUser((userId, n) => ({
      user_id: userId,
      iteration_id: `it-${n}`,
      kind: 'research',
      mission_id: 'm',
      entry: bytes(1),
    })),
    { runner: { select: ofOwn('*'), insert: ofOwn('*'), delete: ofOwn('*') } },
  ),
  mana(
    'research_tasks',
    ['user_id', 'iteration_id'],
    perUser((userId, n) => ({
      user_id: userId,
      iteration_id: `it-${n}`,
      mission_id: 'm',
      kind: 'deep',
      state: 'submitting',
    })),
    {
      runner: {
        select: ofOwn('*'),
        insert: ofOwn('*'),
        update: ofOwn('state, task_id'),
        delete: ofOwn('*'),
      },
    },
  ),
  mana(
    'research_before',
    ['user_id', 'mission_id'],
    perUser((userId, n) => ({ user_id: userId, mission_id: `m${n}`, task_id: 'task' })),
    { runner: { select: ofOwn('*'), delete: ofOwn('*') } },
  ),
  mana(
    'missions_put_aside',
    ['user_id', 'mission_id'],
    perUser((userId, n) => ({ user_id: userId, mission_id: `m${n}`, put_aside_at: NOW })),
    {
      projection: { select: ofAll('*') },
      runner: { select: ofOwn('*'), insert: ofOwn('*'), update: ofOwn('put_aside_at') },
    },
  ),
  mana(
    'run_slots',
    ['user_id', 'mission_id'],
    perUser((userId, n) => ({
      user_id: userId,
      mission_id: `m${n}`,
      agent_id: 'a',
      workflow_id: 'w',
      run_id: 'r',
      iteration_id: 'it',
      claimed_at: NOW,
    })),
    {
      api: { select: ofOwn('*') },
      vault: { select: ofOwn('user_id, mission_id, run_id') },
      projection: { select: ofAll('*') },
      runner: {
        // Ids only: the sweep asks for everybody's.
        select: ofAll('*'),
        insert: ofOwn('*'),
        update: ofOwn('agent_id, workflow_id, run_id, iteration_id, claimed_at, begun, ends_begun'),
        delete: ofOwn('*'),
      },
    },
  ),
  mana(
    'token_usage',
    ['user_id', 'iteration_id', 'round', 'purpose'],
    perUser((userId, n) => ({
      user_id: userId,
      iteration_id: `it-${n}`,
      round: 1,
      purpose: n % 2 === 0 ? 'plan' : 'unknown',
      mission_id: 'm',
      prompt_tokens: 1,
      completion_tokens: 1,
      total_tokens: 2,
    })),
    {
      api: { select: ofOwn('user_id, iteration_id, round, purpose, mission_id, total_tokens, recorded_at') },
      runner: { select: ofOwn('*'), insert: ofOwn('*'), update: ofOwn('total_tokens, recorded_at') },
      maintenance: { select: ofAll('*') },
    },
  ),
  mana(
    'token_usage_by_day',
    ['user_id'],
    {
      // Of the five rows above: a mission's day by purpose.
      rows: ['alice', 'alice', 'bob', 'bob'].map((userId) => ({ user_id: userId, calls: 1 })),
      ...{ candidates: [], hasRowsAlready: true, isGrouped: true },
    },
    { maintenance: { select: ofAll('*') } },
  ),
  mana(
    'budget_reservations',
    ['user_id', 'iteration_id', 'round', 'purpose'],
    perUser((userId, n) => ({
      user_id: userId,
      iteration_id: `it-${n}`,
      round: 1,
      purpose: n % 2 === 0 ? 'plan' : 'compact',
      mission_id: 'm',
      agent_id: n % 2 === 0 ? 'a' : null,
      workflow_id: 'w',
      run_id: 'r',
      reserved_tokens: 2,
      estimated_tokens: 1,
    })),
    // Ids and figures only: the sweep asks for everybody's.
    { runner: { select: ofAll('*'), insert: ofOwn('*'), delete: ofOwn('*') } },
  ),
  mana(
    'mission_time_zones',
    ['user_id', 'mission_id'],
    perUser((userId, n) => ({ user_id: userId, mission_id: `m${n}`, time_zone: 'UTC', updated_at: NOW })),
    {
      api: { select: ofOwn('*'), insert: ofOwn('*'), update: ofOwn('time_zone, updated_at') },
      runner: { select: ofOwn('*') },
      projection: { select: ofAll('*') },
    },
  ),
  mana(
    'mission_snapshots',
    ['user_id', 'mission_id'],
    perUser((userId, n) => ({
      user_id: userId,
      mission_id: `m${n}`,
      exists_now: true,
      state: 'active',
      version: 1,
      // Alice's first mission is in a space.
      space_id: n === 1 ? 's' : null,
    })),
    {
      api: { select: ofOwn('*'), update: ofOwn('version') },
      runner: { select: ofOwn('user_id, mission_id, device_utc_offset_minutes, device_offset_at, space_id') },
      projection: { select: ofAll('*'), insert: ofAll('*'), update: ofAll('*') },
    },
  ),
  mana(
    'space_writes',
    ['user_id', 'mission_id', 'space_id'],
    // Bob's: of Alice's mission in its space, of it in another one, of another mission in her space.
    perUser((userId, n) => ({
      user_id: userId,
      mission_id: n === 5 ? 'm5' : n > 90 ? `m${n}` : 'm1',
      space_id: n === 4 ? 's4' : n === 2 ? 's2' : 's',
      merge_state: {},
    })),
    {
      runner: { select: right(ofSharedMission)('*') },
      projection: { select: ofAll('*'), insert: ofAll('*'), update: ofAll('*') },
    },
  ),
  mana(
    'agent_snapshots',
    ['user_id', 'agent_id'],
    perUser((userId, n) => ({ user_id: userId, agent_id: `a${n}`, exists_now: true, state: 'paused' })),
    {
      api: { select: ofOwn('user_id, agent_id, exists_now, state') },
      projection: { select: ofAll('*'), insert: ofAll('*'), update: ofAll('*') },
    },
  ),
  mana(
    'schedule_opt_outs',
    ['user_id', 'mission_id'],
    perUser((userId, n) => ({ user_id: userId, mission_id: `m${n}`, created_at: NOW })),
    {
      api: { select: ofOwn('*'), insert: ofOwn('*'), delete: ofOwn('*') },
      projection: { select: ofAll('*') },
    },
  ),
  mana(
    'erased_users',
    ['user_sha256'],
    {
      rows: [{ user_sha256: bytes(32), erased_at: NOW }],
      candidates: [{ user_sha256: bytes(32, 1), erased_at: NOW }],
    },
    {},
  ),
  mana(
    'projection_cursor',
    ['only_row'],
    { rows: [{ only_row: true, read_until: NOW }], candidates: [{ only_row: false }], hasRowsAlready: true },
    { projection: { select: ofAll('*'), update: ofAll('*') } },
  ),
  mana(
    'planning_stop',
    ['only_row'],
    { rows: [{ only_row: true, stopped_at: null }], candidates: [{ only_row: false }], hasRowsAlready: true },
    {
      api: { select: ofAll('*') },
      runner: { select: ofAll('*') },
      projection: { select: ofAll('*') },
      maintenance: { select: ofAll('*'), update: ofAll('stopped_at') },
    },
  ),
  mana(
    'projection_backlogs',
    ['user_id'],
    {
      rows: ['alice', 'bob'].map(backlogOf),
      candidates: ['carol', 'dave'].map(backlogOf),
    },
    { projection: { select: ofAll('*'), insert: ofAll('*'), update: ofAll('*'), delete: ofAll('*') } },
  ),
  mana(
    'projected_changes',
    ['change_id'],
    {
      rows: [{ change_id: '00000000-0000-4000-8000-000000000001', created_at: NOW }],
      candidates: [{ change_id: '00000000-0000-4000-8000-000000000002', created_at: NOW }],
    },
    { projection: { select: ofAll('*'), insert: ofAll('*'), delete: ofAll('*') } },
  ),
];

/** Whoever the user is that was set. */
function expiredV2(row: Row): boolean {
  return row['version'] === 'v2' && row['expires_at'] === LONG_AGO;
}

/** Own rows, and those of others of the mission that Alice's own rows put into space `s`. */
function ofSharedMission(row: Row, userId: string): boolean {
  return own(row, userId) || (userId === 'alice' && row['mission_id'] === 'm1' && row['space_id'] === 's');
}

/** Whoever may write here decides what the tables look like: nobody of ours. */
const bookkeeping = (
  database: 'sync' | 'auth',
  name: string,
  rights: TableRights['rights'] = {},
  migrations = 1,
): TableRights => ({
  database,
  name,
  key: ['id'],
  rows: Array.from({ length: migrations }, (_, id) => ({ id, name: 'x', hash: 'x' })),
  candidates: [{ id: 999, name: 'x', hash: 'x' }],
  hasRowsAlready: true,
  rights,
});

/** Each process compares the schema with its own version. */
const version = { select: ofAll('id') };

const change = (userId: string, appId: string, table: string, fields: Row = {}): Row => ({
  app_id: appId,
  table_name: table,
  record_id: 'r',
  user_id: userId,
  op: 'update',
  data: '{}',
  field_meta: '{}',
  client_id: 'device',
  created_at: NOW,
  schema_version: 1,
  actor: '{}',
  origin: 'user',
  ...fields,
});
/** Every input of the contract, what belongs to ai beside missions and agents, and what belongs to neither. */
const PLACES: readonly (readonly [string, string])[] = [
  ['ai', 'aiMissions'],
  ['ai', 'agents'],
  ['companion', 'companionGoals'],
  ['notes', 'notes'],
  ['todo', 'tasks'],
  ['calendar', 'events'],
  ['journal', 'journalEntries'],
  ['kontext', 'kontextDoc'],
  ['profile', 'userContext'],
  ['ai', 'aiProposals'],
  ['finance', 'accounts'],
  ['notes', 'aiMissions'],
  ['finance', 'notes'],
  // The contract does not say which app owns the times of events.
  ['whichever', 'timeBlocks'],
];
const INPUTS = new Set(PLACES.slice(0, 9).map(([appId, table]) => `${appId} ${table}`));
const placeOf = (row: Row): string => `${String(row['app_id'])} ${String(row['table_name'])}`;
const ownInput: Rule = (row, userId) => own(row, userId) && INPUTS.has(placeOf(row));
const ownInputOrTimeBlock: Rule = (row, userId) =>
  ownInput(row, userId) || (own(row, userId) && row['table_name'] === 'timeBlocks');
const missionOrAgent: Rule = (row) => ['ai aiMissions', 'ai agents'].includes(placeOf(row));
const updateOfTheRunner: Rule = (row, userId) =>
  own(row, userId) &&
  placeOf(row) === 'ai aiMissions' &&
  row['op'] === 'update' &&
  row['client_id'] === 'mana-ai-runner' &&
  ['agent', 'system'].includes(String(row['origin']));

/** What may stand in a row of the runner is checked in runner-rows.test.ts; here it is always good. */
const OF_RUNNER: Row = {
  client_id: 'mana-ai-runner',
  origin: 'agent',
  data: '{"iterations": []}',
  field_meta: '{"iterations": "2026-01-01T00:00:00.000Z"}',
};
/** Stamped by the database: the runner's rows are of the moment. */
const withoutTime = (row: Row): Row =>
  Object.fromEntries(Object.entries(row).filter(([column]) => column !== 'created_at'));
const runnerUpdate = (fields: Row = {}): Row =>
  withoutTime(change('alice', 'ai', 'aiMissions', { ...OF_RUNNER, ...fields }));
const READ_COLUMNS =
  'id, app_id, table_name, record_id, user_id, space_id, op, data, field_meta, client_id, created_at';

const PLATFORM: readonly TableRights[] = [
  {
    database: 'sync',
    name: 'public.sync_changes',
    key: ['id'],
    rows: ['alice', 'bob', 'bob'].flatMap((userId) =>
      PLACES.map(([appId, table]) => change(userId, appId, table)),
    ),
    candidates: [
      runnerUpdate(),
      runnerUpdate({ origin: 'system' }),
      runnerUpdate({ user_id: 'bob' }),
      runnerUpdate({ op: 'insert' }),
      runnerUpdate({ op: 'delete' }),
      runnerUpdate({ client_id: 'device' }),
      runnerUpdate({ origin: 'user' }),
      runnerUpdate({ origin: 'migration' }),
      runnerUpdate({ origin: null }),
      runnerUpdate({ app_id: 'notes' }),
      ...PLACES.slice(1).map(([appId, table]) => withoutTime(change('alice', appId, table, OF_RUNNER))),
    ],
    rights: {
      vault: { select: right(ownInput)(READ_COLUMNS) },
      runner: {
        select: right(ownInputOrTimeBlock)(READ_COLUMNS),
        insert: right(updateOfTheRunner)(`${READ_COLUMNS}, schema_version, actor, origin`),
      },
      projection: { select: right(missionOrAgent)(READ_COLUMNS) },
    },
  },
  {
    database: 'auth',
    name: 'auth.users',
    key: ['id'],
    rows: [{ id: 'alice', email: 'a' }, { id: 'bob', email: 'b' }],
    candidates: [{ id: 'carol' }],
    rights: {},
  }, // prettier-ignore
  {
    database: 'auth',
    name: 'auth.encryption_vaults',
    key: ['user_id'],
    rows: ['alice', 'bob'].map((userId) => ({ user_id: userId, wrapped_mk: 'w', wrap_iv: 'i', kek_id: 'k' })),
    candidates: ['alice', 'carol'].map((userId) => ({ user_id: userId, wrapped_mk: 'w' })),
    rights: {
      api: { select: ofOwn('user_id, wrapped_mk, wrap_iv, format_version, kek_id, zero_knowledge') },
      vault: { select: ofOwn('user_id, wrapped_mk, wrap_iv, format_version, kek_id, zero_knowledge') },
    },
  },
  {
    database: 'auth',
    name: 'auth.encryption_vault_audit',
    key: ['id'],
    rows: ['alice', 'bob'].map((userId) => ({ id: userId, user_id: userId, action: 'a', status: 200 })),
    candidates: ['alice', 'bob'].map((userId) => ({
      id: `${userId}-2`,
      user_id: userId,
      action: 'a',
      status: 500,
    })),
    // mana-auth's table has no row-level security: an access by somebody else is what it is there to show.
    rights: {
      api: { insert: ofAll('id, user_id, action, ip_address, user_agent, context, status, created_at') },
      vault: { insert: ofAll('id, user_id, action, ip_address, user_agent, context, status, created_at') },
    },
  },
];

export const TABLES: readonly TableRights[] = [
  ...MANA_AI,
  ...PLATFORM,
  bookkeeping(
    'sync',
    'mana_ai.migrations',
    { api: version, vault: version, runner: version, projection: version },
    EXPECTED_SCHEMA_VERSION,
  ),
  bookkeeping('sync', 'mana_missions_migrations.migrations'),
  bookkeeping('auth', 'mana_missions_migrations.migrations'),
];
