import { createHash } from 'node:crypto';
import type { ChangeRow, Run } from './facts.ts';

/** A mission as its rows tell it. */
export interface MissionSeen {
  readonly userId: string;
  readonly missionId: string;
  /** The fields that stand, by the merge rule of docs/platform.md section 1. */
  readonly record: Fields;
  /** Ids of iterations by the occasions on which one was to be written: instants that came, runs that were asked for. */
  readonly occasions: readonly string[];
  /** The server's iterations that ended, in the rows in which each was written first. */
  readonly ended: readonly { readonly iteration: Fields; readonly rowId: string }[];
}

export type Fields = Readonly<Record<string, unknown>>;

const RUNNER = 'mana-ai-runner';
/** Instants have whole seconds in Temporal: a run may begin up to one of them early. */
const EARLY_MS = 1_000;

export function missionsOf(
  rows: readonly ChangeRow[],
  runs: readonly Run[],
  checkedAtMs: number,
): MissionSeen[] {
  const byMission = Map.groupBy(rows, ({ userId, missionId }) => JSON.stringify([userId, missionId]));
  return [...byMission.values()].map((own) => {
    const [{ userId, missionId }] = own as [ChangeRow];
    const instants = dueInstants(own, checkedAtMs).map((atMs) => ['due', userId, missionId, atMs]);
    const asked = runs
      .filter((run) => run.missionId === missionId && run.workflowId.includes(':now:'))
      .map(({ workflowId }) => ['run-now', userId, missionId, workflowId]);
    const occasions = [...instants, ...asked].map((key) => derivedId('iteration', JSON.stringify(key)));
    return {
      userId,
      missionId,
      record: merged(own),
      occasions: [...new Set(occasions)],
      ended: endedIterations(own),
    };
  });
}

/** RFC 9562 section 5.5, under the namespace in which the product names what must happen once. */
export function derivedId(kind: string, part: string): string {
  const namespace = Buffer.from('4b718e5a124149488b2d1f852e284333', 'hex');
  const bytes = createHash('sha1')
    .update(namespace)
    .update(JSON.stringify([kind, part]))
    .digest()
    .subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x50, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** Instants that stood when they came: none that was replaced before. */
function dueInstants(rows: readonly ChangeRow[], checkedAtMs: number): number[] {
  const writes = writesOf(rows, 'nextRunAt');
  return writes.flatMap(({ value, row }, index) => {
    const atMs = typeof value === 'string' ? Date.parse(value) : NaN;
    if (!(atMs <= checkedAtMs)) return [];
    const later = writes.slice(index + 1).map((write) => write.row.createdAtMs);
    const replacedAtMs = Math.min(...later, Infinity);
    const stoodFromMs = row.createdAtMs;
    return replacedAtMs > stoodFromMs && replacedAtMs >= atMs - EARLY_MS ? [atMs] : [];
  });
}

/** Of one field, in the order of the merge rule: the last one stands. */
function writesOf(rows: readonly ChangeRow[], field: string): { value: unknown; row: ChangeRow }[] {
  return rows
    .filter(({ data }) => Object.hasOwn(data, field))
    .map((row) => ({ value: row.data[field], row, atMs: fieldTimeMs(row, field) }))
    .toSorted(
      (a, b) => a.atMs - b.atMs || a.row.createdAtMs - b.row.createdAtMs || (a.row.id < b.row.id ? -1 : 1),
    );
}

function fieldTimeMs({ op, data, fieldMeta, createdAtMs }: ChangeRow, field: string): number {
  const sources =
    op === 'insert'
      ? [fieldMeta[field], data['updatedAt'], data['createdAt']]
      : op === 'delete'
        ? [data['deletedAt']]
        : [fieldMeta[field]];
  return (
    sources
      .map((value) => (typeof value === 'string' ? Date.parse(value) : NaN))
      .find((value) => !Number.isNaN(value)) ?? createdAtMs
  );
}

const merged = (rows: readonly ChangeRow[]): Fields =>
  Object.fromEntries(
    [...new Set(rows.flatMap(({ data }) => Object.keys(data)))].map((field) => [
      field,
      writesOf(rows, field).at(-1)?.value,
    ]),
  );

function endedIterations(rows: readonly ChangeRow[]): MissionSeen['ended'] {
  const found: { iteration: Fields; rowId: string }[] = [];
  for (const row of rows.filter(({ clientId }) => clientId === RUNNER)) {
    for (const iteration of iterationsIn(row.data['iterations'])) {
      const isNew = !found.some((each) => each.iteration['id'] === iteration['id']);
      if (iteration['source'] === 'server' && iteration['overallStatus'] !== 'running' && isNew)
        found.push({ iteration, rowId: row.id });
    }
  }
  return found;
}

export const iterationsIn = (value: unknown): Fields[] =>
  Array.isArray(value)
    ? value.filter((item): item is Fields => typeof item === 'object' && item !== null)
    : [];
