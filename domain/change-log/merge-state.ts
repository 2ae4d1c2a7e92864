import { z } from 'zod';
import type { FieldWrite, MergeState, Position } from './field-merge.ts';

/**
 * Which parts of a record a kept merge state holds, by field name, and what of each value: a function for a value, a
 * table for an object. Everything else is dropped, so that no text of a user gets in, and the state stays small.
 *
 * A function answers with plain JSON, the same again for its own answer, and null for what its reader takes as absent.
 */
export interface KeptFields {
  readonly [name: string]: KeptValue;
}
export type KeptValue = KeptFields | ((value: unknown) => unknown);

/** Stands for whatever was written below a field that is read as a value: it makes an unreadable object of it. */
const BELOW = '*';

/**
 * What to keep of a write, for `takeInRows`. The kept parts of the record come out as if nothing had been dropped: an
 * array stays one, because leaves do not go into it; and a leaf that is not kept neither changes nor replaces one that is.
 */
export const keepFields =
  (fields: KeptFields) =>
  (write: FieldWrite): FieldWrite | null => {
    let kept: KeptValue = fields;
    for (const [depth, name] of write.path.entries()) {
      if (typeof kept === 'function') {
        const path = [...write.path.slice(0, depth), BELOW];
        return { position: write.position, field: path.join('.'), path, value: null };
      }
      const below: KeptValue | undefined = own(kept, name);
      if (below === undefined) return null;
      kept = below;
    }
    return { ...write, value: keptValue(kept, write.value) };
  };

function keptValue(kept: KeptValue, value: unknown): unknown {
  const absent = Array.isArray(value) ? [] : null;
  if (typeof kept === 'function') return kept(value) ?? absent;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return absent;
  const object = { ...value } as Readonly<Record<string, unknown>>;
  const entries = Object.entries(kept).filter(([name]) => Object.hasOwn(object, name));
  return Object.fromEntries(entries.map(([name, below]) => [name, keptValue(below, own(object, name))]));
}

const own = <T>(object: Readonly<Record<string, T>>, name: string): T | undefined =>
  Object.hasOwn(object, name) ? object[name] : undefined;

/** `[field time, created_at, row id]`, both times in microseconds: more than a JSON number holds. */
const micros = z
  .string()
  .regex(/^-?\d{1,19}$/)
  .transform(BigInt);
const positionSchema = z
  .tuple([micros, micros, z.string()])
  .transform(([timeMicros, createdAtMicros, rowId]): Position => ({ timeMicros, createdAtMicros, rowId }));

/** A merge state as JSON. */
export const mergeStateSchema = z
  .object({
    isKnown: z.boolean(),
    removal: positionSchema.nullable(),
    insert: positionSchema.nullable(),
    writes: z.array(z.tuple([z.string(), positionSchema, z.json()])),
  })
  .transform(({ writes, ...state }): MergeState => ({
    ...state,
    writes: new Map(
      writes.map(([field, position, value]) => [field, { position, field, path: field.split('.'), value }]),
    ),
  }));

/** What `mergeStateSchema` reads. */
export const mergeStateJson = ({ isKnown, removal, insert, writes }: MergeState) => ({
  isKnown,
  removal: removal && positionJson(removal),
  insert: insert && positionJson(insert),
  writes: [...writes.values()].map(({ field, position, value }) => [field, positionJson(position), value]),
});

const positionJson = ({ timeMicros, createdAtMicros, rowId }: Position) => [
  String(timeMicros),
  String(createdAtMicros),
  rowId,
];
