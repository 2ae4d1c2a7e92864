import { z } from 'zod';
import { ResearchUnavailableError } from '#domain/base/errors.ts';

/** Descriptions may be missing or of another type: then they say nothing. */
export const textSchema = z.string().catch('');

const MAX_URL_CHARS = 2_000;

/** An address of the web; anything else is no source. */
export const httpUrlSchema = z
  .string()
  .max(MAX_URL_CHARS)
  .regex(/^https?:\/\/[^\s<>"]+$/i);

/**
 * The good entries of a list in an answer; one bad entry does not hide them.
 *
 * @throws ResearchUnavailableError when the answer holds no such list: it is none
 */
export function readableItems<T>(body: unknown, name: string, schema: z.ZodType<T>): T[] {
  const parsed = z.object({ [name]: z.array(z.unknown()) }).safeParse(body);
  const items = parsed.success ? parsed.data[name] : undefined;
  if (items === undefined) throw new ResearchUnavailableError(null);
  return items.flatMap((item) => {
    const read = schema.safeParse(item);
    return read.success ? [read.data] : [];
  });
}
