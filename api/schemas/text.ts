import { z } from 'zod';
import { isTimeZone } from '#domain/cadence/cadence.ts';

/** What JSON calls the type of a value. */
const typeOf = (value: unknown): string => {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
};

/** PostgreSQL's text holds no U+0000, and UTF-8 no lone surrogate: it would be replaced, in keys and in rows. */
const isStorable = (text: string): boolean => text.isWellFormed() && !text.includes('\0');

/** A text of 1 to `maxLength` UTF-16 code units that can be stored as it is. */
export const storableText = (maxLength: number) => {
  const allowed = `text of 1 to ${maxLength} characters`;
  return z
    .string({ error: ({ input }) => `found ${typeOf(input)}, expected ${allowed}` })
    .min(1, { error: `found an empty text, expected ${allowed}` })
    .max(maxLength, {
      error: ({ input }) =>
        `found ${typeof input === 'string' ? input.length : 0} characters, expected ${allowed}`,
    })
    .refine(isStorable, { error: 'found a character that cannot be stored (U+0000 or a lone surrogate)' });
};

/** A list of 1 to `maxLength` items. Its length is checked first: a long list of nonsense costs nothing. */
export const list = <Item extends z.ZodType>(item: Item, maxLength: number) => {
  const error = ({ input }: { readonly input?: unknown }): string =>
    `found ${Array.isArray(input) ? `${input.length} items` : typeOf(input)}, expected a list of 1 to ${maxLength} items`;
  return (
    z
      .array(z.unknown(), { error })
      .min(1, { error })
      .max(maxLength, { error })
      .pipe(z.array(item))
      // What the OpenAPI description would otherwise not see behind the pipe.
      .meta({ items: z.toJSONSchema(item, { io: 'input' }) })
  );
};

/** The time zone that a client names; absent or null: it names none. */
export const timeZoneSchema = z
  .string({ error: 'found no text, expected an IANA time zone like Europe/Berlin, or nothing' })
  .refine(isTimeZone, { error: 'found an unknown time zone, expected an IANA name like Europe/Berlin' })
  .nullish()
  .meta({ description: 'IANA name; the cadence of the mission is meant in it' });
