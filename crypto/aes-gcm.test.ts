import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { aesGcmDecrypt, aesGcmEncrypt, IV_BYTES, TAG_BYTES } from './aes-gcm.ts';

const [key, iv] = [randomBytes(32), randomBytes(IV_BYTES)];
const sealed = aesGcmEncrypt(key, iv, Buffer.from('text'));

it.each([0, 16, 24, 31, 33])(
  'a key of %i bytes is refused by our own words, which do not hold it',
  (length) => {
    const wrong = Buffer.alloc(length, 7);
    const refusal = `AES key: found ${length} bytes, expected 32`;
    expect(() => aesGcmEncrypt(wrong, iv, Buffer.alloc(1))).toThrow(refusal);
    expect(() => aesGcmDecrypt(wrong, iv, sealed)).toThrow(refusal);
  },
);

it('a tag that was cut opens nothing, however much of it is left', () => {
  for (let left = 0; left < TAG_BYTES; left += 1)
    expect(aesGcmDecrypt(key, iv, sealed.subarray(0, sealed.length - TAG_BYTES + left))).toBeNull();
  expect(aesGcmDecrypt(key, iv, sealed)?.toString()).toBe('text');
});
