import { randomUUID } from 'node:crypto';
import type { UserTransaction } from './client.ts';

/** What opens a user's vault, as `auth.encryption_vaults` holds it (docs/platform.md section 6). */
export interface StoredVault {
  readonly wrappedMkBase64: string | null;
  readonly wrapIvBase64: string | null;
  readonly kekId: string | null;
  readonly zeroKnowledge: boolean;
}

/** The user's vault, or null for none. */
export async function findVault(tx: UserTransaction): Promise<StoredVault | null> {
  const [row] = await tx<StoredVault[]>`
    select wrapped_mk as "wrappedMkBase64", wrap_iv as "wrapIvBase64", kek_id as "kekId",
      zero_knowledge is true as "zeroKnowledge"
    from auth.encryption_vaults where user_id = ${tx.userId}`;
  return row ?? null;
}

/** One access to a vault, also one that failed. */
export interface VaultAccess {
  /** For example `ai-mission-grant`. */
  readonly action: string;
  /** Ids only; null if there is nothing to say. */
  readonly context: string | null;
  /** HTTP status of the outcome. */
  readonly status: number;
  readonly ipAddress: string | null;
  readonly userAgent: string | null;
}

const FOREIGN_KEY_VIOLATION = '23503';

/** The audit table refers to `auth.users`, and this user is not in there. */
export class UnknownUserError extends Error {
  override readonly name = 'UnknownUserError';
}

/**
 * Writes the audit row of a vault access. Give it a transaction of its own, or a failure rolls it back.
 *
 * @throws UnknownUserError when `auth.users` does not know the user
 */
export async function recordVaultAccess(tx: UserTransaction, access: VaultAccess): Promise<void> {
  try {
    await tx`
      insert into auth.encryption_vault_audit
        (id, user_id, action, ip_address, user_agent, context, status, created_at)
      values
        (${randomUUID()}, ${tx.userId}, ${access.action}, ${access.ipAddress}, ${access.userAgent}, ${access.context},
         ${access.status}, clock_timestamp())`;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === FOREIGN_KEY_VIOLATION) {
      throw new UnknownUserError('auth.users does not hold this user', { cause: error });
    }
    throw error;
  }
}
