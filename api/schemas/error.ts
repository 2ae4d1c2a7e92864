import { z } from 'zod';

/** Every answer but a success. */
export const errorSchema = z.object({ error: z.string(), code: z.string() });
