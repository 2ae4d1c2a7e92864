import { z } from 'zod';
import { checksum } from '#domain/base/json.ts';
import {
  comparePositions,
  EMPTY_MERGE_STATE,
  takeInRows,
  writesOfRow,
  type FieldWrite,
  type MergeState,
  type Position,
} from '#domain/change-log/field-merge.ts';
import { type ChangeRow, LATEST_WRITABLE_MS } from '#domain/wire/rows.ts';
import { acceptableIterations } from './iterations.ts';
import {
  keepFields,
  mergeStateJson,
  mergeStateSchema,
  type KeptFields,
} from '#domain/change-log/merge-state.ts';
import { MISSION_STATES, type MissionState } from '#domain/wire/mission.ts';
import {
  idOf,
  isFilled,
  isObject,
  isOurClaim,
  overallRank,
  stepRank,
  stepsOf,
  type StoredObject,
} from '#domain/wire/iteration.ts';

/**
 * What another member of a shared space may do to a mission (docs/platform.md section 1; docs/adr, "Members of a shared space"):
 * stop it, and overwrite its iterations, which are then put back. So this is all that is kept of a member's rows of one record in
 * one space: state, deletion, times, and how far the steps of the array that stands have come. No text.
 */
export interface MemberWrites {
  /** With `MEMBER_FIELDS` kept. */
  readonly merge: MergeState;
  /** Of the array of iterations that stands after this member's rows; null for none, and for one that is too large. */
  readonly outline: readonly IterationOutline[] | null;
}

export const NO_MEMBER_WRITES: MemberWrites = { merge: EMPTY_MERGE_STATE, outline: null };

const MEMBER_FIELDS: KeptFields = {
  state: (value) => MISSION_STATES.find((state) => state === value) ?? null,
  deletedAt: (value) => (value === null || value === undefined ? null : true),
  // Their times alone: what we write has to be later, or devices drop it.
  iterations: () => null,
  nextRunAt: () => null,
};

const STEP_STATUSES = ['planned', 'staged', 'approved', 'rejected', 'skipped', 'failed'];
const OVERALL_STATUSES = ['running', 'awaiting-review', 'approved', 'rejected', 'failed'];
/** An unknown status is one of a newer web app: decided, see `stepRank`. */
const statusOf = (known: readonly string[], value: unknown): string | null =>
  typeof value !== 'string' ? null : (known.find((status) => status === value) ?? 'other');

interface IterationOutline {
  readonly id: string;
  readonly status: string | null;
  readonly hasFeedback: boolean;
  /** Checksum of what devices carry out and show. */
  readonly content: number;
  readonly steps: readonly (readonly [id: string, status: string | null])[];
}

/** Of an outline, as JSON; some 400 iterations with three steps each. */
const MAX_OUTLINE_CHARS = 100_000;

/** A row, and whether its array of iterations was too large to be read. */
interface MemberRow extends ChangeRow {
  readonly unread?: 'nothing' | 'iterations' | 'row';
}

/**
 * Takes rows in, in any order and more than once.
 *
 * @param rows of one record, one user and one space
 */
export function takeInMemberRows(before: MemberWrites, rows: readonly MemberRow[]): MemberWrites {
  let { merge, outline } = before;
  for (const row of rows) {
    merge = takeInRows(merge, [row], keepFields(MEMBER_FIELDS));
    const write = writesOfRow(row).find(({ field }) => field === 'iterations');
    if (write === undefined || merge.writes.get('iterations')?.position.rowId !== row.id) continue;
    outline = row.unread === 'iterations' ? null : outlineOf(write.value);
  }
  return { merge, outline };
}

function outlineOf(stored: unknown): MemberWrites['outline'] {
  const outline: IterationOutline[] = [];
  for (const iteration of acceptableIterations(stored)) {
    const id = idOf(iteration);
    if (id === null) continue;
    const steps = stepsOf(iteration)
      .filter(isObject)
      .map((step) => [idOf(step) ?? '', statusOf(STEP_STATUSES, step['status'])] as const);
    outline.push({
      id,
      status: statusOf(OVERALL_STATUSES, iteration['overallStatus']),
      hasFeedback: isFilled(iteration['userFeedback']),
      content: checksum(contentOf(iteration)),
      steps,
    });
  }
  return JSON.stringify(outline).length <= MAX_OUTLINE_CHARS ? outline : null;
}

const contentOf = (iteration: StoredObject): unknown => [
  iteration['summary'] ?? null,
  stepsOf(iteration).map((step) =>
    isObject(step) ? [step['id'] ?? null, step['summary'] ?? null, step['intent'] ?? null] : null,
  ),
];

const outlineSchema = z.array(
  z.object({
    id: z.string(),
    status: z.string().nullable(),
    hasFeedback: z.boolean(),
    content: z.number(),
    steps: z.array(z.tuple([z.string(), z.string().nullable()])),
  }),
);
const memberWritesSchema = z.object({ merge: mergeStateSchema, outline: outlineSchema.nullable() });

/** What `memberWritesJson` made; null for what another version made. */
export function parseMemberWrites(kept: {
  readonly merge: unknown;
  readonly outline: unknown;
}): MemberWrites | null {
  const parsed = memberWritesSchema.safeParse(kept);
  return parsed.success ? parsed.data : null;
}

export const memberWritesJson = ({ merge, outline }: MemberWrites) => ({
  merge: mergeStateJson(merge),
  outline,
});

/** What members have done to a mission. */
export interface StoppedByMembers {
  /**
   * Another member made the record, and this user only edited it: then the mission is that member's, and what stands under
   * this user is no mission of its own.
   */
  readonly isAnothers: boolean;
  readonly isDeleted: boolean;
  /** The state that a member stopped it with; null where its own rows decide. */
  readonly state: Exclude<MissionState, 'active'> | null;
}

/**
 * What a member writes counts while it is later than what the mission's own rows say of the same field, and while that member
 * has not taken it back: a later `active` is the end of one's own stop, and of nobody else's.
 *
 * @param own of the mission's own rows
 */
export function stoppedByMembers(own: MergeState, members: readonly MemberWrites[]): StoppedByMembers {
  const stops = members.flatMap(({ merge }) => stopOf(own, merge));
  const last = stops.toSorted((one, other) => comparePositions(one.position, other.position)).at(-1);
  return {
    isAnothers: own.insert === null && members.some(({ merge }) => merge.insert !== null),
    isDeleted: members.some(({ merge }) => deletes(own, merge)),
    state: last?.state ?? null,
  };
}

interface Stop {
  readonly position: Position;
  readonly state: Exclude<MissionState, 'active'>;
}

function stopOf(own: MergeState, member: MergeState): Stop[] {
  const write = standingWrite(own, member, 'state');
  const state = MISSION_STATES.find((known) => known === write?.value);
  return write === null || state === undefined || state === 'active'
    ? []
    : [{ position: write.position, state }];
}

function deletes(own: MergeState, member: MergeState): boolean {
  const tombstone = standingWrite(own, member, 'deletedAt');
  const { removal } = member;
  const isRemoved = removal !== null && isLater(removal, own.insert) && isLater(removal, member.insert);
  return isRemoved || (tombstone !== null && tombstone.value !== null);
}

/** A member's write of a field, unless the mission's own rows say something later, or a removal lies between. */
function standingWrite(own: MergeState, member: MergeState, field: string): FieldWrite | null {
  const write = member.writes.get(field);
  const isStanding =
    write !== undefined &&
    isLater(write.position, own.writes.get(field)?.position) &&
    isLater(write.position, own.removal) &&
    isLater(write.position, member.removal);
  return isStanding ? write : null;
}

const isLater = (position: Position, other: Position | null | undefined): boolean =>
  other === null || other === undefined || comparePositions(position, other) > 0;

/** When a member wrote a field last, in microseconds; null where none did. */
export function memberTimeMicros(members: readonly MemberWrites[], field: string): bigint | null {
  let latest: bigint | null = null;
  for (const { merge } of members) {
    const timeMicros = merge.writes.get(field)?.position.timeMicros;
    if (timeMicros !== undefined && (latest === null || timeMicros > latest)) latest = timeMicros;
  }
  return latest;
}

const LATEST_WRITABLE_MICROS = BigInt(LATEST_WRITABLE_MS) * 1000n;

/**
 * The member whose array of iterations stands over the mission's own on devices.
 *
 * @param own where the own array stands, or null
 * @returns null where the own one stands, and where no time can be written that is later
 */
export function overwrittenBy(
  own: Position | null,
  members: readonly MemberWrites[],
): MemberOverwrite | null {
  let latest: MemberOverwrite | null = null;
  for (const { merge, outline } of members) {
    const position = merge.writes.get('iterations')?.position;
    if (position === undefined || position.timeMicros > LATEST_WRITABLE_MICROS) continue;
    if (isLater(position, own) && isLater(position, latest?.position)) latest = { position, outline };
  }
  return latest;
}

export interface MemberOverwrite {
  readonly position: Position;
  readonly outline: MemberWrites['outline'];
}

/**
 * The mission's own array with the steps as far as members have taken them: a step that a member's device carried out must not
 * come back as planned. Nothing else of a member's array enters what we write, neither texts nor iterations: who is a member
 * is not ours to know, and devices carry out what we write.
 *
 * @returns the very array where nothing changes
 */
export function withStepsOfMembers(
  iterations: readonly StoredObject[],
  members: readonly MemberWrites[],
): readonly StoredObject[] {
  const taken = statusesById(iterations, members);
  const result = iterations.map((iteration) => further(iteration, taken.get(idOf(iteration) ?? '')));
  return result.some((iteration, index) => iteration !== iterations[index]) ? result : iterations;
}

/** How far members have taken an iteration and its steps. */
interface TakenStatuses {
  overall: string | null;
  readonly steps: Map<string, string | null>;
}

/** Once for each id: arrays and outlines may hold one many times. */
function statusesById(
  iterations: readonly StoredObject[],
  members: readonly MemberWrites[],
): ReadonlyMap<string, TakenStatuses> {
  const wanted = new Map<string, TakenStatuses>();
  for (const iteration of iterations) {
    const isOurs = iteration['source'] === 'server' && !isOurClaim(iteration);
    const id = idOf(iteration);
    if (isOurs && id !== null && !wanted.has(id)) wanted.set(id, { overall: null, steps: new Map() });
  }
  const inOrder = members
    .flatMap(({ merge, outline }) => {
      const position = merge.writes.get('iterations')?.position;
      return position === undefined || outline === null ? [] : [{ position, outline }];
    })
    .sort((one, other) => comparePositions(one.position, other.position));
  for (const { id, status, steps } of inOrder.flatMap(({ outline }) => outline)) {
    const taken = wanted.get(id);
    if (taken === undefined) continue;
    taken.overall = furthest(taken.overall, status, overallRank);
    for (const [stepId, each] of steps)
      taken.steps.set(stepId, furthest(taken.steps.get(stepId) ?? null, each, stepRank));
  }
  return wanted;
}

type Rank = (status: unknown) => number;

/** Of two statuses the further one, the second of equals; what we do not know is not handed on. */
const furthest = (one: string | null, other: string | null, rankOf: Rank): string | null =>
  other !== 'other' && rankOf(other) >= rankOf(one) ? other : one;

function further(iteration: StoredObject, taken: TakenStatuses | undefined): StoredObject {
  if (taken === undefined) return iteration;
  const overallStatus = furtherOf(iteration['overallStatus'], taken.overall, overallRank);
  let isChanged = overallStatus !== iteration['overallStatus'];
  const plan = stepsOf(iteration).map((step) => {
    if (!isObject(step)) return step;
    const status = furtherOf(step['status'], taken.steps.get(idOf(step) ?? '') ?? null, stepRank);
    if (status === step['status']) return step;
    isChanged = true;
    return { ...step, status };
  });
  return isChanged ? { ...iteration, overallStatus, plan } : iteration;
}

const furtherOf = (stands: unknown, taken: string | null, rankOf: Rank): unknown =>
  rankOf(taken) > rankOf(stands) ? taken : stands;

/** Whether a member's array lacks something of what should stand, or says something else. */
export function loses(outline: readonly IterationOutline[], iterations: readonly StoredObject[]): boolean {
  const present = new Map(outline.map((each) => [each.id, { ...each, steps: new Map(each.steps) }]));
  return iterations.some((iteration) => {
    const id = idOf(iteration);
    if (id === null) return false;
    const found = present.get(id);
    if (found === undefined || (isFilled(iteration['userFeedback']) && !found.hasFeedback)) return true;
    if (iteration['source'] !== 'server') return false;
    if (overallRank(found.status) < overallRank(iteration['overallStatus'])) return true;
    if (!isOurClaim(iteration) && found.content !== checksum(contentOf(iteration))) return true;
    return stepsOf(iteration).some(
      (step) => isObject(step) && stepRank(found.steps.get(idOf(step) ?? '')) < stepRank(step['status']),
    );
  });
}
