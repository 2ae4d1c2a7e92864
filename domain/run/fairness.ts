/** What a fairness key may hold at most, in bytes of UTF-8. */
const LONGEST_KEY_BYTES = 64;
/** Longest part of an overlong id that stays readable; 16 hex digits of its hash and a mark follow. */
const READABLE_CHARS = 40;

/**
 * The key by which Temporal's task queues take turns: one user with thousands of due missions must not keep another's
 * single one waiting. Ids of real users are some 36 ASCII characters and stay as they are; of others a part and a hash
 * stay, so that two of them rarely share a turn. Sharing one would cost time and nothing else.
 *
 * @returns at most 64 bytes of ASCII
 */
export function fairnessKeyOf(userId: string): string {
  const isShortAscii = /^[\x21-\x7e]*$/.test(userId) && userId.length <= LONGEST_KEY_BYTES;
  if (isShortAscii) return userId;
  const readable = userId.replace(/[^\x21-\x7e]/g, '').slice(0, READABLE_CHARS);
  return `${readable}#${fnv1a64(userId)}`;
}

const FNV_OFFSET = 0xcbf29ce484222325n;
const FNV_PRIME = 0x100000001b3n;

/** FNV-1a, 64 bits, over UTF-16 code units: no secret depends on it, and a workflow's sandbox has no SHA-256. */
function fnv1a64(text: string): string {
  let hash = FNV_OFFSET;
  for (let index = 0; index < text.length; index += 1) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(text.charCodeAt(index))) * FNV_PRIME);
  }
  return hash.toString(16).padStart(16, '0');
}
