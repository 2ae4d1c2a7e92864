/**
 * Decodes ordinary base64 with padding; null for anything else.
 *
 * `Buffer.from` skips what it does not know and ignores unused bits, so that many texts stand for the same bytes.
 * Comparing with the re-encoded bytes leaves exactly one text for each, and a changed character never goes unnoticed.
 */
export function decodeBase64(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : null;
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Encodes a JSON value; a value that JSON cannot hold (undefined, a function) is a TypeError. */
export function encodeJson(value: unknown): Buffer {
  const text = JSON.stringify(value) as string | undefined;
  if (text === undefined) throw new TypeError('a value to encrypt must be JSON');
  return Buffer.from(text, 'utf8');
}

/** Null if the bytes are no UTF-8 or no JSON. Wrapped, because JSON's own `null` is a value. */
export function decodeJson(bytes: Uint8Array): { readonly value: unknown } | null {
  try {
    return { value: JSON.parse(decoder.decode(bytes)) as unknown };
  } catch {
    // The parser's message quotes the text, which is user content.
    return null;
  }
}
