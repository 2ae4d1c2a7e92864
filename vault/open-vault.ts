import { unwrapMasterKey, type KekRing } from '#crypto/unwrap-master-key.ts';
import type { Database } from '#db/client.ts';
import {
  findVault,
  recordVaultAccess,
  UnknownUserError,
  type StoredVault,
  type VaultAccess,
} from '#db/vaults.ts';
import { VaultNotInitialisedError, VaultUnreadableError, ZeroKnowledgeError } from '#domain/base/errors.ts';
import type { UserId } from '#domain/base/ids.ts';

export interface VaultAccessor {
  /** mana-auth's database. */
  readonly authDatabase: Database;
  readonly keks: KekRing;
}

/**
 * Unwraps a user's master key and leaves an audit row, whether it opens or not, in a transaction that does nothing else
 * (docs/platform.md section 6). The API and the vault worker are the only processes that can.
 *
 * @param purpose what goes into the audit row; ids only
 * @returns 32 bytes, to be overwritten by the caller
 * @throws VaultNotInitialisedError no vault, or a user that `auth.users` does not know
 * @throws ZeroKnowledgeError, VaultUnreadableError
 */
export async function openVault(
  { authDatabase, keks }: VaultAccessor,
  userId: UserId,
  purpose: Omit<VaultAccess, 'status'>,
): Promise<Buffer> {
  const keys: Buffer[] = [];
  try {
    const opened = await authDatabase.asUser(userId, async (tx) => {
      const unwrapped = unwrap(keks, await findVault(tx));
      if (unwrapped.ok) keys.push(unwrapped.masterKey);
      await recordVaultAccess(tx, { ...purpose, status: unwrapped.status });
      return unwrapped;
    });
    if (!opened.ok) throw opened.error;
    return opened.masterKey;
  } catch (error) {
    // No audit row, no key.
    for (const key of keys) key.fill(0);
    if (error instanceof UnknownUserError) throw new VaultNotInitialisedError();
    throw error;
  }
}

type Opened =
  | { readonly ok: true; readonly masterKey: Buffer; readonly status: 200 }
  | { readonly ok: false; readonly error: Error; readonly status: 404 | 409 | 500 };

function unwrap(keks: KekRing, vault: StoredVault | null): Opened {
  if (vault === null) return { ok: false, error: new VaultNotInitialisedError(), status: 404 };
  const unwrapped = unwrapMasterKey(keks, vault);
  if (unwrapped.ok) return { ok: true, masterKey: unwrapped.masterKey, status: 200 };
  return unwrapped.reason === 'zero-knowledge'
    ? { ok: false, error: new ZeroKnowledgeError(), status: 409 }
    : { ok: false, error: new VaultUnreadableError(), status: 500 };
}
