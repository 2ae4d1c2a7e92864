/**
 * What tells whether two steps are the same: the tool and its arguments, in whatever order and with whatever blanks and
 * capitals they were written.
 *
 * @param params nested no deeper than a reply or a record may be
 */
export const stepIdentity = (toolName: string, params: Readonly<Record<string, unknown>>): string =>
  `${toolName} ${canonicalJson(params)}`;

/** JSON with sorted keys and plain texts. */
function canonicalJson(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(plainText(value));
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`).join(',')}}`;
}

const plainText = (text: string): string => text.normalize('NFC').replace(/\s+/g, ' ').trim().toLowerCase();
