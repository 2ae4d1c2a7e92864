import { createHash } from 'node:crypto';
import { canonicalGrantEncoding, type GrantBinding } from '#domain/wire/grant.ts';

/**
 * The RSA-OAEP label of a grant. v1 has none. v2: SHA-256 of the UTF-8 of the canonical encoding, so that a wrapped
 * key only unwraps together with the user, scope, issue and expiry it was minted for.
 *
 * @see RFC 8017 section 7.1
 */
export function grantLabel(binding: GrantBinding): Buffer | undefined {
  if (binding.derivation.version === 'v1') return undefined;
  return createHash('sha256').update(canonicalGrantEncoding(binding), 'utf8').digest();
}
