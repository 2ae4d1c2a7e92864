import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { isIP } from 'node:net';
import { z } from 'zod';
import { decodeBase64 } from '#crypto/encodings.ts';
import { KEY_BYTES } from '#crypto/key-bytes.ts';

// Values of .env.example and keys of zero bytes: everybody knows them. The hash is that of `change-me`.
const EXAMPLE_MARKS = [
  'change-me',
  'A'.repeat(43),
  '0'.repeat(64),
  'e2186dbdb1bb4193608605e84f33208765b5693b55edd4f730a719a100eeea6f',
];
const isExample = (text: string): boolean => EXAMPLE_MARKS.some((mark) => text.includes(mark));

/** A variable; `parse` gives null for what is not `expected`. */
const variable = <T>(expected: string, parse: (text: string) => T | null) =>
  z
    .string({ error: `is not set; expected ${expected}` })
    .refine((text) => !isExample(text), { error: 'holds an example value; make one of your own' })
    .transform((text, context): T => {
      const value = parse(text);
      if (value !== null) return value;
      context.addIssue({ code: 'custom', message: `cannot be used; expected ${expected}` });
      return z.NEVER;
    });

export const oneOf = <const Value extends string>(values: readonly Value[]) =>
  variable(values.join(' or '), (text) => values.find((value) => value === text) ?? null);

export const integer = (min: number, max: number) =>
  variable(`a whole number from ${min} to ${max}`, (text) => {
    const value = Number(text);
    return /^\d+$/.test(text) && value >= min && value <= max ? value : null;
  });

const BOOLEANS = new Map([
  ['true', true],
  ['1', true],
  ['false', false],
  ['0', false],
]);
export const boolean = variable('true or false', (text) => BOOLEANS.get(text) ?? null);

/** A switch that must be set on purpose. */
export const switchedOn = (expected: string) =>
  variable(expected, (text) => (BOOLEANS.get(text) === true ? true : null));

/** Operators type it into commands. */
export const buildId = variable(
  'up to 100 letters, digits, "-", "_", "." and "+", beginning with a letter or digit',
  (text) => (/^[a-z\d][\w.+-]{0,99}$/i.test(text) ? text : null),
);

export const nonEmpty = (expected: string) =>
  variable(expected, (text) => (text.trim() === text ? text : null));

const urlOf = (text: string, ...protocols: string[]): string | null =>
  URL.canParse(text) && protocols.includes(new URL(text).protocol) ? text : null;
export const httpUrl = variable('an http or https URL', (text) => urlOf(text, 'http:', 'https:'));
// It goes into a header.
export const serviceKey = variable('a service key of visible ASCII characters', (text) =>
  /^[\x21-\x7e]+$/.test(text) ? text : null,
);
export const databaseUrl = variable('a postgres:// URL with user and database', (text) =>
  urlOf(text, 'postgres:', 'postgresql:'),
);

/** All items of a comma-separated list, or null if one cannot be read. */
function listOf<T>(text: string, parse: (item: string) => T | null): T[] | null {
  const items = text.split(',').map((item) => parse(item.trim()));
  return items.every((item) => item !== null) ? items : null;
}

const originOf = (text: string): string | null =>
  urlOf(text, 'http:', 'https:') !== null && new URL(text).origin === text ? text : null;
export const origin = variable('one exact origin, like https://temporal.example.org', originOf);
export const origins = variable(
  'a comma-separated list of exact origins, like https://app.example.org',
  (text) => listOf(text, originOf),
);

const PROXY_RANGES = ['loopback', 'linklocal', 'uniquelocal'];
export const proxies = variable(
  `a comma-separated list of addresses, networks or ${PROXY_RANGES.join(', ')}`,
  (text) =>
    listOf(text, (item) => {
      const [address = '', bits = '0', rest] = item.split('/');
      const isNetwork = isIP(address) !== 0 && /^\d{1,3}$/.test(bits) && rest === undefined;
      return isNetwork || PROXY_RANGES.includes(item) ? item : null;
    }),
);

const keyOf = (text: string): Buffer | null => {
  const bytes = decodeBase64(text);
  return bytes?.length === KEY_BYTES ? bytes : null;
};
export const base64Key = variable('a key of 32 bytes in base64', keyOf);

/** `<id>:<base64 of 32 bytes>,…` in the order given; ids are unique. */
export const keysById = variable('<id>:<32 bytes in base64>, comma-separated, with unique ids', (text) => {
  const entries = listOf(text, (item): [string, Buffer] | null => {
    const match = /^([\w.-]{1,64}):(.+)$/.exec(item);
    const key = keyOf(match?.[2] ?? '');
    return match?.[1] === undefined || key === null ? null : [match[1], key];
  });
  if (entries === null) return null;
  const keys: ReadonlyMap<string, Buffer> = new Map(entries);
  return keys.size === entries.length ? keys : null;
});

export const sha256Hashes = variable('one or two SHA-256 values in hex, comma-separated', (text) => {
  const hashes = listOf(text, (item) => (/^[\da-f]{64}$/i.test(item) ? Buffer.from(item, 'hex') : null));
  return hashes !== null && hashes.length <= 2 ? hashes : null;
});

const RSA_BITS = 2048;
const isRsa = (key: KeyObject): boolean =>
  key.asymmetricKeyType === 'rsa' && key.asymmetricKeyDetails?.modulusLength === RSA_BITS;

/** The PEM blocks of a text in which `\n` may stand for line ends; null if there is anything else. */
function pemBlocks(text: string, label: string): string[] | null {
  const end = `-----END ${label}-----`;
  const parts = text.replaceAll('\\n', '\n').split(end);
  const blocks = parts.slice(0, -1).map((part) => part.trimStart() + end);
  const isBlock = (block: string): boolean => {
    const body = block.startsWith(`-----BEGIN ${label}-----`)
      ? block.slice(`-----BEGIN ${label}-----`.length, -end.length)
      : '';
    return /^[A-Za-z0-9+/=\s]+$/.test(body);
  };
  return blocks.length > 0 && blocks.every(isBlock) && parts.at(-1)?.trim() === '' ? blocks : null;
}

function rsaKeys(text: string, label: string, read: (pem: string) => KeyObject): KeyObject[] | null {
  try {
    const keys = pemBlocks(text, label)?.map(read) ?? [];
    return keys.length > 0 && keys.every(isRsa) ? keys : null;
  } catch {
    // OpenSSL's texts may quote what it found.
    return null;
  }
}
// createPublicKey would also take a private key, which must not be here: only the label of SPKI is accepted.
export const publicKey = variable('one RSA-2048 public key as SPKI PEM', (text) => {
  const keys = rsaKeys(text, 'PUBLIC KEY', (pem) => createPublicKey(pem));
  return keys?.length === 1 ? (keys[0] ?? null) : null;
});
export const privateKeys = variable('one or more RSA-2048 private keys as PKCS#8 PEM', (text) =>
  rsaKeys(text, 'PRIVATE KEY', (pem) => createPrivateKey(pem)),
);

const isEd25519 = (key: KeyObject): boolean => key.asymmetricKeyType === 'ed25519';

function ed25519Keys(text: string, label: string, read: (pem: string) => KeyObject): KeyObject[] | null {
  try {
    const keys = pemBlocks(text, label)?.map(read) ?? [];
    return keys.length > 0 && keys.every(isEd25519) ? keys : null;
  } catch {
    return null;
  }
}
export const signingKey = variable('one Ed25519 private key as PKCS#8 PEM', (text) => {
  const keys = ed25519Keys(text, 'PRIVATE KEY', (pem) => createPrivateKey(pem));
  return keys?.length === 1 ? (keys[0] ?? null) : null;
});
export const verificationKeys = variable('one or more Ed25519 public keys as SPKI PEM', (text) =>
  ed25519Keys(text, 'PUBLIC KEY', (pem) => createPublicKey(pem)),
);
