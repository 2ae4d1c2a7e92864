import type { FastifyBaseLogger } from 'fastify';
import { unwrapMasterKey } from '../crypto/unwrap-master-key.ts';
import type { KekRing } from '../crypto/unwrap-master-key.ts';
import type { Database } from '../db/client.ts';
import { findVault, recordVaultAccess, UnknownUserError } from '../db/vaults.ts';
import type { StoredVault } from '../db/vaults.ts';
import { VaultNotInitialisedError, VaultUnreadableError, ZeroKnowledgeError } from '../domain/errors.ts';
import type { MissionError } from '../domain/errors.ts';
import type { UserId } from '../domain/ids.ts';
import { HTTP_ERRORS } from './errors.ts';

export interface VaultDependencies {
  readonly authDatabase: Database;
  readonly keks: KekRing;
}

/** For the audit row: who asked, for what. */
export interface VaultCaller {
  readonly userId: UserId;
  readonly action: string;
  /** Ids only. */
  readonly context: string;
  readonly ipAddress: string;
  readonly userAgent: string | null;
  readonly log: FastifyBaseLogger;
}

/**
 * Unwraps the user's master key. The access is audited first, also one that fails: without an audit row there is no
 * key.
 *
 * @returns 32 bytes, to be overwritten by the caller
 * @throws VaultNotInitialisedError, ZeroKnowledgeError, VaultUnreadableError
 */
export async function openVault(dependencies: VaultDependencies, caller: VaultCaller): Promise<Buffer> {
  const { authDatabase, keks } = dependencies;
  const vault = await authDatabase.asUser(caller.userId, (tx) => findVault(tx, caller.userId));
  const opened = unwrap(keks, vault);
  try {
    await audit(authDatabase, caller, 'error' in opened ? HTTP_ERRORS[opened.error.code].status : 200);
  } catch (error) {
    if ('masterKey' in opened) opened.masterKey.fill(0);
    throw error;
  }
  if ('error' in opened) throw opened.error;
  return opened.masterKey;
}

function unwrap(keks: KekRing, vault: StoredVault | null): { masterKey: Buffer } | { error: MissionError } {
  if (vault === null) return { error: new VaultNotInitialisedError() };
  const unwrapped = unwrapMasterKey(keks, vault);
  if (unwrapped.ok) return { masterKey: unwrapped.masterKey };
  switch (unwrapped.reason) {
    case 'zero-knowledge':
      return { error: new ZeroKnowledgeError() };
    case 'unwrap-failed':
      return { error: new VaultUnreadableError() };
  }
}

const MAX_USER_AGENT_LENGTH = 500;

/** In a transaction of its own, or a later failure would take the row back. */
async function audit(authDatabase: Database, caller: VaultCaller, status: number): Promise<void> {
  const { userId, action, context, ipAddress } = caller;
  const userAgent = caller.userAgent?.slice(0, MAX_USER_AGENT_LENGTH) ?? null;
  try {
    await authDatabase.asUser(userId, (tx) =>
      recordVaultAccess(tx, userId, { action, context, status, ipAddress, userAgent }),
    );
  } catch (error) {
    if (!(error instanceof UnknownUserError)) throw error;
    // The audit table refers to auth.users, so the log is all there is.
    caller.log.warn({ userId, action }, 'a user whom auth.users does not hold asked for the vault');
    throw new VaultNotInitialisedError();
  }
}
