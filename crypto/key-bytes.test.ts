import { expect, it } from 'vitest';
import { decodeBase64 } from './encodings.ts';
import { assertKeyLength, withSecret } from './key-bytes.ts';

it('a secret is overwritten after use, also when its use throws', () => {
  const [used, failed] = [Buffer.alloc(32, 7), Buffer.alloc(32, 7)];
  expect(withSecret(used, (secret) => secret.toString('hex'))).toBe('07'.repeat(32));
  const failing = (): never =>
    withSecret(failed, () => {
      throw new Error('failed');
    });
  expect(failing).toThrow('failed');
  expect(used).toEqual(Buffer.alloc(32));
  expect(failed).toEqual(Buffer.alloc(32));
});

it('keys have 32 bytes', () => {
  expect(() => assertKeyLength(Buffer.alloc(32), 'KEK')).not.toThrow();
  for (const length of [0, 16, 31, 33]) {
    expect(() => assertKeyLength(Buffer.alloc(length), 'KEK')).toThrow(
      new TypeError(`KEK: found ${length} bytes, expected 32`),
    );
  }
});

it('base64 has one text for each sequence of bytes', () => {
  expect(decodeBase64('')).toEqual(Buffer.alloc(0));
  expect(decodeBase64('+/8=')).toEqual(Buffer.of(0xfb, 0xff));
  for (const text of ['+/9=', '-_8=', '+/8', '+/8==', '+/8=\n', ' +/8=', '+', '+/8=+/8=', 'a*bc']) {
    expect(decodeBase64(text)).toBeNull();
  }
});
