/**
 * The web app nests some six levels deep. What goes deeper than this is read as absent: serialising ten thousand levels
 * exhausts the stack of whoever does it, and a run that fails at that would fail for ever.
 */
export const MAX_NESTING = 100;

/** Whether objects and arrays nest deeper than `MAX_NESTING`; looks at each value once, and never deeper than that. */
export const isNestedTooDeep = (value: unknown, levels = MAX_NESTING): boolean => {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  const below: readonly unknown[] = Array.isArray(value) ? value : Object.values(value);
  return below.some((each) => isNestedTooDeep(each, levels - 1));
};

/**
 * Makes a value of a model fit for `jsonb`, which refuses NUL characters and lone surrogates: one of them in a plan
 * would otherwise cost the user the whole iteration.
 */
export function storableJson(value: unknown): unknown {
  if (typeof value === 'string') return storableText(value);
  if (Array.isArray(value)) return value.map(storableJson);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [storableText(key), storableJson(item)]),
  );
}

export const storableText = (text: string): string => text.replaceAll('\u0000', '').toWellFormed();

/** FNV-1a over the value's JSON, 32 bits: tells versions apart and says nothing about their texts. */
export function checksum(value: unknown): number {
  const text = JSON.stringify(value);
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return hash >>> 0;
}
