import { randomBytes, randomUUID } from 'node:crypto';
import { encryptFieldValue } from '#crypto/field-value.ts';
import { wrapMasterKey } from './wrap-master-key.ts';
import { openDatabase, type Database, type UserTransaction } from '#db/client.ts';
import { mergeRecord, type MergedRecord } from '#domain/change-log/field-merge.ts';
import type { ChangeRow } from '#domain/wire/rows.ts';
import type { Grant } from '#domain/wire/grant.ts';
import { toUserId, type UserId } from '#domain/base/ids.ts';
import { formatInstant } from '#domain/base/instant.ts';

/** A user of the web app, with a vault. */
export interface WebAppUser {
  readonly userId: UserId;
  /** 32 bytes; the web app holds it, we never do. */
  readonly masterKey: Buffer;
  /** Encrypts a field as the web app does (docs/platform.md section 5). */
  readonly encrypt: (value: unknown) => string;
}

export interface Location {
  readonly appId: string;
  readonly table: string;
  readonly id: string;
}

type Fields = Readonly<Record<string, unknown>>;

/**
 * What a user's browser does, as far as we can see it: records written through mana-sync as rows of the change log,
 * vaults made through mana-auth. Used by the demo and the tests; it logs in as a user of its own, under row-level
 * security.
 */
export interface WebApp {
  createUser(options?: {
    readonly userId?: string;
    readonly vault?: 'ordinary' | 'zero-knowledge' | 'none';
  }): Promise<WebAppUser>;
  /** An `insert` row with the whole record. */
  insert(user: WebAppUser, at: Location, record: Fields): Promise<string>;
  /** An `update` row with a field time for each field; nested leaves come under dotted names. */
  update(
    user: WebAppUser,
    at: Location,
    fields: Fields,
    options?: { readonly atMs?: number },
  ): Promise<string>;
  /** Any row, also a malformed one. */
  insertRow(userId: string, row: RawRow): Promise<string>;
  rows(user: WebAppUser, at: Location): Promise<PulledRow[]>;
  /** What a device shows after its pull. */
  read(user: WebAppUser, at: Location): Promise<MergedRecord | null>;
  close(): Promise<void>;
}

export interface RawRow extends Location {
  readonly op: string;
  readonly data: unknown;
  readonly fieldMeta?: unknown;
  readonly clientId?: string;
  readonly spaceId?: string | null;
}

export interface PulledRow extends ChangeRow {
  readonly actor: Fields | null;
  readonly origin: string | null;
  readonly spaceId: string | null;
}

export const missionAt = (id: string): Location => ({ appId: 'ai', table: 'aiMissions', id });
export const noteAt = (id: string): Location => ({ appId: 'notes', table: 'notes', id });
export const taskAt = (id: string): Location => ({ appId: 'todo', table: 'tasks', id });
export const agentAt = (id: string): Location => ({ appId: 'ai', table: 'agents', id });

const DEVICE = 'device-1';

export function openWebApp(options: {
  readonly syncUrl: string;
  readonly authUrl: string;
  /** mana-auth's KEK, 32 bytes. */
  readonly kek: Buffer;
}): WebApp {
  const open = (url: string): Database =>
    openDatabase({ url, applicationName: 'web-app', maxConnections: 2 });
  const sync = open(options.syncUrl);
  const auth = open(options.authUrl);
  const insertRow = (userId: string, row: RawRow): Promise<string> =>
    sync.asUser(toUserId(userId), (tx) => writeRow(tx, userId, row));
  const rows = (user: WebAppUser, at: Location): Promise<PulledRow[]> =>
    sync.asUser(user.userId, (tx) => pullRows(tx, at));
  return {
    createUser: async ({ userId: id = `user-${randomUUID()}`, vault = 'ordinary' } = {}) => {
      const userId = toUserId(id);
      const masterKey = randomBytes(32);
      await auth.asUser(userId, (tx) => writeVault(tx, vault, options.kek, masterKey));
      return { userId, masterKey, encrypt: (value) => encryptFieldValue(masterKey, value) };
    },
    insert: (user, at, record) =>
      insertRow(user.userId, {
        ...at,
        op: 'insert',
        data: { id: at.id, createdAt: formatInstant(Date.now()), ...record },
      }),
    update: (user, at, fields, { atMs = Date.now() } = {}) =>
      insertRow(user.userId, { ...at, op: 'update', data: fields, fieldMeta: timesOf(fields, atMs) }),
    insertRow,
    rows,
    read: async (user, at) => mergeRecord(at.id, await rows(user, at)),
    close: async () => {
      await Promise.all([sync.close(), auth.close()]);
    },
  };
}

const timesOf = (fields: Fields, atMs: number): Record<string, string> =>
  Object.fromEntries(Object.keys(fields).map((field) => [field, formatInstant(atMs)]));

async function writeVault(
  tx: UserTransaction,
  vault: 'ordinary' | 'zero-knowledge' | 'none',
  kek: Buffer,
  masterKey: Buffer,
): Promise<void> {
  await tx`insert into auth.users (id) values (${tx.userId})`;
  if (vault === 'none') return;
  const wrapped = vault === 'ordinary' ? wrapMasterKey(kek, masterKey) : null;
  await tx`
    insert into auth.encryption_vaults (user_id, wrapped_mk, wrap_iv, kek_id, zero_knowledge)
    values (${tx.userId}, ${wrapped?.wrappedMkBase64 ?? null}, ${wrapped?.wrapIvBase64 ?? null}, 'env-v1',
      ${vault === 'zero-knowledge'})`;
}

async function writeRow(tx: UserTransaction, userId: string, row: RawRow): Promise<string> {
  const json = (value: unknown): string | null => (value === undefined ? null : JSON.stringify(value));
  const [written] = await tx<{ id: string }[]>`
    insert into public.sync_changes
      (app_id, table_name, record_id, user_id, space_id, op, data, field_meta, client_id, actor, origin)
    values
      (${row.appId}, ${row.table}, ${row.id}, ${userId}, ${row.spaceId ?? null}, ${row.op},
       ${json(row.data)}::text::jsonb, ${json(row.fieldMeta ?? {})}::text::jsonb, ${row.clientId ?? DEVICE},
       ${JSON.stringify({ kind: 'user', principalId: userId, displayName: 'Ada' })}::text::jsonb, 'user')
    returning id`;
  if (written === undefined) throw new Error('the change log returned no id');
  return written.id;
}

const pullRows = (tx: UserTransaction, at: Location): Promise<PulledRow[]> =>
  tx<PulledRow[]>`
    select id, op, data, field_meta as "fieldMeta", client_id as "clientId", actor, origin, space_id as "spaceId",
      to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as "createdAt"
    from public.sync_changes
    where user_id = ${tx.userId} and app_id = ${at.appId} and table_name = ${at.table} and record_id = ${at.id}
    order by created_at, id`;

/** A renewed grant as the web app writes it: the changed leaves of the stored object, under dotted names. */
export const renewedGrantFields = (grant: Grant): Fields => ({
  'grant.wrappedKey': grant.wrappedKey,
  'grant.derivation.version': grant.derivation.version,
  'grant.derivation.tables': grant.derivation.tables,
  'grant.derivation.recordIds': grant.derivation.recordIds,
  'grant.issuedAt': grant.issuedAt,
  'grant.expiresAt': grant.expiresAt,
});

/** Asks our API for a grant, as the web app does before it pushes the mission. */
export async function requestGrant(
  apiUrl: string,
  token: string,
  body: Readonly<Record<string, unknown>>,
): Promise<Grant> {
  const response = await fetch(`${apiUrl}/api/v1/me/ai-mission-grant`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(10_000),
  });
  if (!response.ok) throw new Error(`grant request: found status ${response.status}, expected 200`);
  return (await response.json()) as Grant;
}
