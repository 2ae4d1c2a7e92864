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
