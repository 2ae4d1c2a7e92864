import { checkGrant } from './check-grant.ts';
import { decryptFieldValue, isEncryptedValue } from '#crypto/field-value.ts';
import { deriveMissionDataKey } from '#crypto/mission-data-key.ts';
import { sealRecord } from '#crypto/sealed-record.ts';
import type { Database, UserTransaction } from '#db/client.ts';
import { lockMission } from '#db/mission-lock.ts';
import { isOfDevice, readMissionOfDevices, type ReadMission } from '#db/missions.ts';
import { ciphertextsElsewhere } from '#db/own-ciphertexts.ts';
import { keepRunGrant, readRunGrant } from '#db/run-grants.ts';
import { isSlotHolder } from '#db/run-slots.ts';
import {
  insertRefusal,
  insertSealedRecords,
  readSealedBefore,
  type SealedRecord,
} from '#db/sealed-inputs.ts';
import { readClockMs, readRowsOfRecords, recordKey } from '#db/sync-changes.ts';
import {
  RunEndedError,
  ZeroKnowledgeError,
  VaultNotInitialisedError,
  VaultUnreadableError,
  type GrantProblem,
} from '#domain/base/errors.ts';
import { mergeRecord } from '#domain/change-log/field-merge.ts';
import type { UserId } from '#domain/base/ids.ts';
import type { RunRef, SealResult } from '#domain/run/run.ts';
import {
  inputsOutOfScope,
  isSameRecord,
  ownRecords,
  recordsInScope,
  type SealableRecord,
} from '#domain/grant/sealable-records.ts';
import { countScopeViolations } from '#metrics/grants.ts';
import { openVault } from '#vault/open-vault.ts';
import type { KekRing } from '#crypto/unwrap-master-key.ts';

/** What the vault worker's activity works with; made once in `worker.ts`. */
export interface VaultDependencies {
  /** The change log and schema mana_ai. */
  readonly syncDatabase: Database;
  /** mana-auth's vault. */
  readonly authDatabase: Database;
  readonly keks: KekRing;
  /** Whether v1 grants run (`GRANT_ACCEPT_V1`). */
  readonly acceptV1: boolean;
}

/**
 * Records decrypted at a time: a grant names up to 1000, and their rows are larger than what is kept of them. Also the
 * most that one statement writes.
 */
const BATCH_SIZE = 50;

/**
 * Seals exactly the granted records from the user's master key to the mission data key, for one run
 * (docs/architecture.md section 2). Grant check, audit rows, sealed rows and the grant that the run keeps to are one transaction
 * under the mission's lock. Whose records they are is decided here: another user's record is simply not found.
 *
 * @returns counts, and the problem of a grant that opens nothing; a bad grant does not throw
 * @throws RunEndedError
 */
export async function sealInputs(deps: VaultDependencies, run: RunRef): Promise<SealResult> {
  const userId = run.userId;
  const result = await deps.syncDatabase.asUser(userId, async (tx) => {
    lockMission(tx, run.missionId);
    const [read, kept, holds, nowMs] = await Promise.all([
      readMissionOfDevices(tx, run.missionId),
      readRunGrant(tx, run.runId),
      isSlotHolder(tx, run),
      readClockMs(tx),
    ]);
    // A worker that stood still for longer than its run took: nobody would forget what it seals now.
    if (!holds) throw new RunEndedError();
    if (read === null) return nothingSealed('absent');
    // A repeated attempt must not mix grants: what is sealed already opens with the first one's.
    const asked = kept === null ? read : { ...read, mission: { ...read.mission, grant: kept } };
    const checked = await checkGrant(tx, asked, { acceptV1: deps.acceptV1, nowMs });
    if (!checked.ok) return nothingSealed(checked.problem);
    keepRunGrant(tx, run, checked.grant);

    const vault = await openVaultForRun(deps, userId, run.missionId);
    if (!vault.ok) return nothingSealed(vault.problem);
    const { masterKey } = vault;
    const mdk = deriveMissionDataKey({ ...checked.grant, masterKey, userId });
    try {
      const own = ownRecords(run.missionId, checked.pinnedAgentId);
      const scope = recordsInScope(checked.grant.derivation, run.missionId, checked.pinnedAgentId);
      return await sealScope({ tx, run, masterKey, mdk, own }, read, scope);
    } finally {
      // JavaScript cannot promise erasure (copies may exist); what we hold is overwritten.
      mdk.fill(0);
      masterKey.fill(0);
    }
  });
  // Only now: what a transaction that did not commit found is found again.
  countScopeViolations(result.scopeViolations);
  return result;
}

const nothingSealed = (problem: GrantProblem): SealResult => ({
  problem,
  sealed: 0,
  failed: 0,
  scopeViolations: 0,
  ownFieldsReadable: false,
});

type OpenedVault =
  { readonly ok: true; readonly masterKey: Buffer } | { readonly ok: false; readonly problem: GrantProblem };

/** What is no fault of a moment becomes a problem of the grant; a database that does not answer stays an error. */
async function openVaultForRun(
  deps: VaultDependencies,
  userId: UserId,
  missionId: string,
): Promise<OpenedVault> {
  try {
    const masterKey = await openVault(deps, userId, {
      action: 'ai-mission-run',
      context: `mission ${missionId}`,
      ipAddress: null,
      userAgent: null,
    });
    return { ok: true, masterKey };
  } catch (error) {
    if (error instanceof ZeroKnowledgeError) return { ok: false, problem: 'zero-knowledge' };
    if (error instanceof VaultNotInitialisedError) return { ok: false, problem: 'vault-missing' };
    if (error instanceof VaultUnreadableError) return { ok: false, problem: 'vault-unreadable' };
    throw error;
  }
}

interface Sealing {
  readonly tx: UserTransaction;
  readonly run: RunRef;
  readonly masterKey: Buffer;
  readonly mdk: Buffer;
  /** What no grant has to name. */
  readonly own: readonly SealableRecord[];
}

async function sealScope(
  sealing: Sealing,
  read: ReadMission,
  scope: readonly SealableRecord[],
): Promise<SealResult> {
  const { tx, run } = sealing;
  const before = await readSealedBefore(tx, run);
  const waiting: SealedRecord[] = [];
  let sealed = 0;
  let failed = 0;
  let scopeViolations = 0;
  let ownFieldsReadable = true;
  for await (const { record, fields } of readRecords(sealing, scope)) {
    const copied = await copiedFields(sealing, record, fields);
    const opened = openFields(sealing.masterKey, record, fields, copied);
    const key = recordKey(record.table, record.recordId);
    if (copied.length > 0) scopeViolations += 1;
    if (opened.failedFields.length > 0) failed += 1;
    const refusal = refusalOf(copied, opened.failedFields);
    if (refusal !== null) {
      if (record.table === 'aiMissions' && record.recordId === read.mission.id) ownFieldsReadable = false;
      if (!before.refused.has(key)) await insertRefusal(tx, { ...auditOf(run, record), ...refusal });
    }
    if (opened.openedCount > 0) {
      sealed += 1;
      if (!before.sealed.has(key)) waiting.push(sealOne(sealing, record, opened.values));
      if (waiting.length === BATCH_SIZE) insertSealedRecords(tx, run, waiting.splice(0));
    }
  }
  insertSealedRecords(tx, run, waiting);
  scopeViolations += await auditOutOfScope(sealing, read, scope, before.refused);
  return { problem: null, sealed, failed, scopeViolations, ownFieldsReadable };
}

/**
 * The encrypted fields of the mission itself, or of its agent, that hold the ciphertext of another record: whoever can
 * write there would otherwise have records opened that no grant names. Records that a grant names are not looked at; the
 * user named them.
 */
async function copiedFields(
  { tx, own }: Sealing,
  record: SealableRecord,
  fields: Readonly<Record<string, unknown>>,
): Promise<readonly string[]> {
  if (!own.some((each) => isSameRecord(each, record))) return [];
  const held = record.encryptedFields.flatMap((field) => {
    const value = fields[field];
    return isEncryptedValue(value) ? [{ field, value }] : [];
  });
  if (held.length === 0) return [];
  const values = held.map(({ value }) => value);
  const elsewhere = await ciphertextsElsewhere(tx, record, values);
  return held.filter(({ value }) => elsewhere.has(value)).map(({ field }) => field);
}

/** One audit row for each record: what breaks the scope says more than what does not open. */
function refusalOf(
  copied: readonly string[],
  failed: readonly string[],
): { readonly status: 'failed' | 'scope-violation'; readonly reason: string } | null {
  if (copied.length > 0) {
    return {
      status: 'scope-violation',
      reason: `holds the ciphertext of another record: ${copied.join(', ')}`,
    };
  }
  return failed.length > 0 ? { status: 'failed', reason: `undecryptable: ${failed.join(', ')}` } : null;
}

const auditOf = (run: RunRef, record: SealableRecord) => ({
  missionId: run.missionId,
  iterationId: run.iterationId,
  table: record.table,
  recordId: record.recordId,
});

function sealOne(
  { tx: { userId }, run, mdk }: Sealing,
  record: SealableRecord,
  values: Readonly<Record<string, unknown>>,
): SealedRecord {
  const context = {
    userId,
    missionId: run.missionId,
    runId: run.runId,
    table: record.table,
    recordId: record.recordId,
  };
  return { table: record.table, recordId: record.recordId, sealed: sealRecord(mdk, context, values) };
}

/** As many as the runner reads. */
const MAX_INPUTS = 1_000;

/** An encrypted input that the grant does not cover: nothing is opened, and the user can see that it was asked for. */
async function auditOutOfScope(
  sealing: Sealing,
  read: ReadMission,
  scope: readonly SealableRecord[],
  alreadyAudited: ReadonlySet<string>,
): Promise<number> {
  let violations = 0;
  const outside = inputsOutOfScope(read.mission.inputs.slice(0, MAX_INPUTS), scope);
  for await (const { record, fields } of readRecords(sealing, outside)) {
    if (!record.encryptedFields.some((field) => isEncryptedValue(fields[field]))) continue;
    violations += 1;
    if (alreadyAudited.has(recordKey(record.table, record.recordId))) continue;
    await insertRefusal(sealing.tx, {
      ...auditOf(sealing.run, record),
      status: 'scope-violation',
      reason: 'not in the scope of the grant',
    });
  }
  return violations;
}

interface ReadRecord {
  readonly record: SealableRecord;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** The user's own records among `records`, merged, a batch at a time. Unknown and deleted ones are left out. */
async function* readRecords(
  { tx }: Sealing,
  records: readonly SealableRecord[],
): AsyncGenerator<ReadRecord, void, undefined> {
  for (let start = 0; start < records.length; start += BATCH_SIZE) {
    const batch = records.slice(start, start + BATCH_SIZE);
    const rows = await readRowsOfRecords(tx, batch, 'ciphertext');
    for (const record of batch) {
      const all = rows.get(recordKey(record.table, record.recordId)) ?? [];
      const merged = mergeRecord(record.recordId, all.filter(isOfDevice));
      if (merged !== null) yield { record, fields: merged.record };
    }
  }
}

interface OpenedFields {
  readonly values: Readonly<Record<string, unknown>>;
  readonly openedCount: number;
  readonly failedFields: readonly string[];
}

/** What a mission or an agent says of itself is text; anything else, ciphertext in ciphertext too, is no words of a user. */
const isText = (value: unknown): boolean => typeof value === 'string' && !isEncryptedValue(value);

/** Opens the fields that are ciphertext; those in clear are read by the runner itself. */
function openFields(
  masterKey: Buffer,
  record: SealableRecord,
  fields: Readonly<Record<string, unknown>>,
  except: readonly string[],
): OpenedFields {
  const values: Record<string, unknown> = {};
  const failedFields: string[] = [];
  const isWords = record.table === 'aiMissions' || record.table === 'agents';
  for (const field of record.encryptedFields.filter((each) => !except.includes(each))) {
    const stored = fields[field];
    if (!isEncryptedValue(stored)) continue;
    const decrypted = decryptFieldValue(masterKey, stored);
    if (decrypted.ok && (!isWords || isText(decrypted.value))) values[field] = decrypted.value;
    else failedFields.push(field);
  }
  return { values, openedCount: Object.keys(values).length, failedFields };
}
