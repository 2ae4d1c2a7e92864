import { mdkInfo, type GrantBinding } from '#domain/wire/grant.ts';
import { hkdfSha256 } from './hkdf.ts';
import { assertKeyLength, KEY_BYTES } from './key-bytes.ts';

/**
 * The mission data key (MDK) of a grant, from the user's master key: HKDF-SHA-256 with salt = UTF-8 of the mission id
 * and the `info` of the grant's version.
 *
 * @param input.masterKey 32 bytes
 * @returns 32 bytes, to be overwritten by the caller
 * @see docs/platform.md section 7 (v1), docs/architecture.md section 2 (v2)
 */
export function deriveMissionDataKey(input: GrantBinding & { readonly masterKey: Uint8Array }): Buffer {
  assertKeyLength(input.masterKey, 'master key');
  return hkdfSha256({
    ikm: input.masterKey,
    salt: Buffer.from(input.derivation.missionId, 'utf8'),
    info: Buffer.from(mdkInfo(input), 'utf8'),
    lengthBytes: KEY_BYTES,
  });
}
