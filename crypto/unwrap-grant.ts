import { constants, privateDecrypt, type KeyObject } from 'node:crypto';
import { parseGrant } from '#domain/wire/grant.ts';
import type { UserId } from '#domain/base/ids.ts';
import { instantMs } from '#domain/base/instant.ts';
import { decodeBase64 } from './encodings.ts';
import { publicKeyId } from './key-id.ts';
import { grantLabel } from './grant-label.ts';
import { KEY_BYTES } from './key-bytes.ts';

export interface UnwrapGrantInput {
  /** The runner's RSA private keys; all are tried, so that keys can be rotated while grants live. */
  readonly privateKeys: readonly KeyObject[];
  /** The user under whose id the mission stands. */
  readonly userId: UserId;
  /** `mission.grant` as stored. */
  readonly grant: unknown;
  /** Compared with the grant's `expiresAt`, in milliseconds since the epoch. */
  readonly nowMs: number;
}

export type UnwrappedGrant =
  | { readonly ok: true; readonly mdk: Buffer; readonly keyId: string }
  | { readonly ok: false; readonly reason: UnwrapProblem };

export type UnwrapProblem = 'not-configured' | 'expired' | 'malformed' | 'wrap-rejected';

/**
 * Unwraps the mission data key (MDK) of a grant.
 *
 * The checks come in the order of the contract's list: no key configured, expired (also an expiry that cannot be
 * read), malformed (shape, base64, or not 32 bytes inside), rejected by every key. What is no object at all is
 * malformed.
 *
 * @returns the 32-byte key, to be overwritten by the caller, or why there is none; a bad grant never throws
 * @see docs/platform.md section 7; RFC 8017 section 7.1
 */
export function unwrapGrant({ privateKeys, userId, grant, nowMs }: UnwrapGrantInput): UnwrappedGrant {
  if (privateKeys.length === 0) return failed('not-configured');
  if (typeof grant !== 'object' || grant === null) return failed('malformed');
  const expiresAtMs = instantMs('expiresAt' in grant ? grant.expiresAt : undefined);
  if (expiresAtMs === null || expiresAtMs <= nowMs) return failed('expired');
  const parsed = parseGrant(grant);
  if (parsed === null || parsed.wrappedKey === '') return failed('malformed');
  const wrapped = decodeBase64(parsed.wrappedKey);
  if (wrapped === null) return failed('malformed');

  const label = grantLabel({ ...parsed, userId });
  for (const privateKey of privateKeys) {
    const mdk = rsaOaepDecrypt(privateKey, wrapped, label);
    if (mdk === null) continue;
    if (mdk.length === KEY_BYTES) return { ok: true, mdk, keyId: publicKeyId(privateKey) };
    mdk.fill(0);
    return failed('malformed');
  }
  return failed('wrap-rejected');
}

const failed = (reason: UnwrapProblem): UnwrappedGrant => ({ ok: false, reason });

function rsaOaepDecrypt(key: KeyObject, ciphertext: Buffer, label: Buffer | undefined): Buffer | null {
  // RFC 8017 section 7.1.2, step 1b. OpenSSL reads a number, to which a leading zero that was cut off makes no difference.
  if (ciphertext.length * 8 !== key.asymmetricKeyDetails?.modulusLength) return null;
  try {
    return privateDecrypt(
      {
        key,
        padding: constants.RSA_PKCS1_OAEP_PADDING,
        oaepHash: 'sha256',
        ...(label === undefined ? {} : { oaepLabel: label }),
      },
      ciphertext,
    );
  } catch {
    // One answer for every cause: telling them apart would make an oracle (RFC 8017 section 7.1.2, note).
    return null;
  }
}
