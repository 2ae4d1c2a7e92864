import { createHmac } from 'node:crypto';
import { secretKey } from './key-bytes.ts';

const HASH_BYTES = 32;
const MAX_LENGTH_BYTES = 255 * HASH_BYTES;

export interface HkdfInput {
  readonly ikm: Uint8Array;
  /** May be empty; RFC 5869 then takes 32 zero bytes, which HMAC pads to by itself. */
  readonly salt: Uint8Array;
  /** Of any length. */
  readonly info: Uint8Array;
  /** 1 to 8160. */
  readonly lengthBytes: number;
}

/**
 * HKDF-SHA-256, extract and expand by HMAC.
 *
 * Not `hkdfSync`: that and WebCrypto refuse an `info` above 1024 bytes, which a grant over some 22 records exceeds
 * (docs/platform.md section 7).
 *
 * @see RFC 5869 section 2
 */
export function hkdfSha256({ ikm, salt, info, lengthBytes }: HkdfInput): Buffer {
  if (!Number.isInteger(lengthBytes) || lengthBytes < 1 || lengthBytes > MAX_LENGTH_BYTES) {
    throw new RangeError(`HKDF length: found ${lengthBytes}, expected 1 to ${MAX_LENGTH_BYTES} bytes`);
  }
  const pseudorandomKey = createHmac('sha256', secretKey(salt)).update(ikm).digest();
  const blocks: Buffer[] = [];
  try {
    const key = secretKey(pseudorandomKey);
    for (let counter = 1; blocks.length * HASH_BYTES < lengthBytes; counter += 1) {
      const previous = blocks.at(-1) ?? Buffer.alloc(0);
      const hmac = createHmac('sha256', key).update(previous).update(info);
      blocks.push(hmac.update(Buffer.of(counter)).digest());
    }
    return Buffer.concat(blocks, lengthBytes);
  } finally {
    pseudorandomKey.fill(0);
    for (const block of blocks) block.fill(0);
  }
}

/** A 32-byte key for one purpose, so that no key serves two. The caller overwrites it. */
export const deriveSubkey = (key: Uint8Array, purpose: string): Buffer =>
  hkdfSha256({
    ikm: key,
    salt: new Uint8Array(),
    info: Buffer.from(purpose, 'utf8'),
    lengthBytes: HASH_BYTES,
  });
