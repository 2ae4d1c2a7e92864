import type { Grant } from '#domain/wire/grant.ts';

/** Version 2 grants from docs/grants.md alone, on WebCrypto: nothing of crypto/ or of domain/wire/grant.ts takes part. */

const { subtle } = globalThis.crypto;
const utf8 = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

function canonicalString(text: string): string {
  const parts: string[] = [];
  // By code point, so that only surrogates without a partner are seen as such.
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0;
    const isEscaped = code < 0x20 || (code >= 0xd800 && code <= 0xdfff);
    parts.push(SHORT_ESCAPES[char] ?? (isEscaped ? `\\u${code.toString(16).padStart(4, '0')}` : char));
  }
  return `"${parts.join('')}"`;
}

function compareUtf16(a: string, b: string): number {
  for (let index = 0; index < Math.min(a.length, b.length); index += 1) {
    const difference = a.charCodeAt(index) - b.charCodeAt(index);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

const canonicalList = (texts: readonly string[]): string =>
  `[${[...texts].sort(compareUtf16).map(canonicalString).join(',')}]`;

export function canonicalEncoding(userId: string, { derivation, issuedAt, expiresAt }: Grant): string {
  const parts = [
    canonicalString('mana-missions/grant/v2'),
    canonicalString(userId),
    canonicalString(derivation.version),
    canonicalString(derivation.missionId),
    canonicalList(derivation.tables),
    canonicalList(derivation.recordIds),
    canonicalString(issuedAt),
    canonicalString(expiresAt),
  ];
  return `[${parts.join(',')}]`;
}

export const labelOf = async (userId: string, grant: Grant): Promise<ArrayBuffer> =>
  subtle.digest('SHA-256', utf8(canonicalEncoding(userId, grant)));

async function hmac(
  key: Uint8Array<ArrayBuffer>,
  data: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  const imported = await subtle.importKey('raw', key, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  return new Uint8Array(await subtle.sign('HMAC', imported, data));
}

/** WebCrypto's own HKDF takes no `info` of this length; one block of SHA-256 is all that 32 bytes need. */
export async function missionDataKey(
  masterKey: Uint8Array<ArrayBuffer>,
  userId: string,
  grant: Grant,
): Promise<Uint8Array> {
  const pseudorandomKey = await hmac(utf8(grant.derivation.missionId), masterKey);
  const info = utf8(`mana-ai-mission-grant:v2:${canonicalEncoding(userId, grant)}`);
  return hmac(pseudorandomKey, new Uint8Array([...info, 1]));
}

/** @returns what was wrapped, or null when it does not unwrap for this user and grant */
export async function unwrap(
  privateKeyPem: string,
  userId: string,
  grant: Grant,
): Promise<Uint8Array | null> {
  const der = Uint8Array.from(Buffer.from(privateKeyPem.replaceAll(/-----.*-----|\s/g, ''), 'base64'));
  const algorithm = { name: 'RSA-OAEP', hash: 'SHA-256' };
  const key = await subtle.importKey('pkcs8', der, algorithm, false, ['decrypt']);
  const label = await labelOf(userId, grant);
  const wrapped = Uint8Array.from(Buffer.from(grant.wrappedKey, 'base64'));
  return subtle.decrypt({ name: 'RSA-OAEP', label }, key, wrapped).then(
    (bytes) => new Uint8Array(bytes),
    () => null,
  );
}
