import { deriveSubkey } from '#crypto/hkdf.ts';
import type { CodecKeys } from '#temporal/payload-codec.ts';

/**
 * Keys for a purpose of the API's own, derived from the codec keys: every API process has those, the first one signs, and
 * all are accepted, as with payloads.
 */
export const derivedKeys = ({ primaryKeyId, keys }: CodecKeys, purpose: string): Buffer[] => {
  const ids = [primaryKeyId, ...[...keys.keys()].filter((id) => id !== primaryKeyId)];
  return ids.flatMap((id) => keys.get(id) ?? []).map((key) => deriveSubkey(key, purpose));
};
