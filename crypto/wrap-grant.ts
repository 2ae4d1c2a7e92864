import { constants, createHash, publicEncrypt, type KeyObject } from 'node:crypto';
import { sortUtf16, type Grant, type GrantDerivation, type GrantVersion } from '#domain/wire/grant.ts';
import type { MissionId, UserId } from '#domain/base/ids.ts';
import { formatInstant } from '#domain/base/instant.ts';
import { publicKeyId } from './key-id.ts';
import { grantLabel } from './grant-label.ts';
import { withSecret } from './key-bytes.ts';
import { deriveMissionDataKey } from './mission-data-key.ts';

export interface MintGrantInput {
  readonly version: GrantVersion;
  /** 32 bytes; stays the caller's to overwrite. */
  readonly masterKey: Uint8Array;
  readonly userId: UserId;
  readonly missionId: MissionId;
  /** In any order, not empty. */
  readonly tables: readonly string[];
  /** In any order, not empty. */
  readonly recordIds: readonly string[];
  readonly issuedAtMs: number;
  /** Already clamped, see `clampTtlMs`. */
  readonly ttlMs: number;
  /** The runner's RSA public key. */
  readonly publicKey: KeyObject;
}

export interface MintedGrant {
  readonly grant: Grant;
  /** How the mint log finds the grant again. */
  readonly wrappedKeySha256: Buffer;
  readonly keyId: string;
}

/**
 * Mints a grant: derives the mission data key (MDK) and wraps it for the runner with RSA-OAEP and SHA-256 (also for
 * MGF1). The MDK does not outlive the call.
 *
 * @see docs/platform.md section 7; RFC 8017 section 7.1
 */
export function mintGrant(input: MintGrantInput): MintedGrant {
  const { version, masterKey, userId, missionId, issuedAtMs, ttlMs, publicKey } = input;
  const tables = sortUtf16(input.tables);
  const recordIds = sortUtf16(input.recordIds);
  const derivation: GrantDerivation = { version, missionId, tables, recordIds };
  const issuedAt = formatInstant(issuedAtMs);
  const expiresAt = formatInstant(issuedAtMs + ttlMs);
  const binding = { userId, derivation, issuedAt, expiresAt };
  const wrappedKey = withSecret(deriveMissionDataKey({ ...binding, masterKey }), (missionDataKey) =>
    rsaOaepEncrypt(publicKey, missionDataKey, grantLabel(binding)),
  ).toString('base64');
  return {
    grant: { wrappedKey, derivation, issuedAt, expiresAt },
    wrappedKeySha256: sha256OfWrappedKey(wrappedKey),
    keyId: publicKeyId(publicKey),
  };
}

/**
 * The mint log's key of a grant: SHA-256 over the UTF-8 of `wrappedKey` _as stored_, not over the decoded bytes. Every
 * text has one, also a malformed one, and none needs decoding where no key is held.
 */
export const sha256OfWrappedKey = (wrappedKeyBase64: string): Buffer =>
  createHash('sha256').update(wrappedKeyBase64, 'utf8').digest();

const rsaOaepEncrypt = (key: KeyObject, plaintext: Uint8Array, label: Buffer | undefined): Buffer =>
  publicEncrypt(
    {
      key,
      padding: constants.RSA_PKCS1_OAEP_PADDING,
      oaepHash: 'sha256',
      ...(label === undefined ? {} : { oaepLabel: label }),
    },
    plaintext,
  );
