import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mergeRecord } from '#domain/change-log/field-merge.ts';
import { type ChangeRow, RUNNER_CLIENT_ID } from '#domain/wire/rows.ts';
import { formatInstant } from '#domain/base/instant.ts';
import { healingOf } from '#domain/iteration/iteration-healing.ts';
import {
  NO_KNOWN_ITERATIONS,
  takeInIterations,
  type KnownIterations,
} from '#domain/iteration/known-iterations.ts';
import { takeInMissionRows, UNKNOWN_MISSION } from '#domain/projection/known-mission.ts';
import { MAX_NESTING } from '#domain/base/json.ts';
import { nextAfter, replacedFailuresIn, type FailureOutline } from '#domain/iteration/replaced-failures.ts';

type Counter = { reads: number };

/** The object with its `id` replaced by one that counts how often it is looked at. */
const counted = <T extends { readonly id: string | null }>(object: T, counter: Counter): T =>
  Object.defineProperty({ ...object }, 'id', {
    enumerable: true,
    get: () => {
      counter.reads += 1;
      return object.id;
    },
  });

/** How much more is looked at with twice as many entries: 2 for linear work, 4 for quadratic. */
function growth(work: (entries: number, counter: Counter) => void): number {
  const [one, two] = [500, 1_000].map((entries) => {
    const counter = { reads: 0 };
    work(entries, counter);
    return counter.reads;
  });
  if (one === undefined || two === undefined || one === 0) throw new Error('nothing was looked at');
  return two / one;
}
const LINEAR = 2.5;

const at = (second: number): string => formatInstant(Date.UTC(2026, 4, 4) + second * 1_000);
const stepsOf = (count: number, status: string) =>
  Array.from({ length: count }, (_, index) => ({ id: `step-${index}`, status }));
const failures = (count: number, code = 'gateway-unavailable') =>
  Array.from({ length: count }, (_, index) => ({
    id: `failed-${index}`,
    startedAt: at(index),
    source: 'server',
    overallStatus: 'failed',
    errorDetails: { name: code },
    plan: [],
  }));

describe('twice as many entries are twice the work', () => {
  it('of the steps of an iteration that is taken in', () => {
    const work = (entries: number, counter: Counter): void => {
      const write = (status: string, known: KnownIterations, byUs: boolean) =>
        takeInIterations(known, {
          value: [{ id: 'i', source: 'server', plan: stepsOf(entries, status) }],
          byUs,
          wins: true,
        });
      const { known } = write('staged', NO_KNOWN_ITERATIONS, true);
      const [iteration] = known.iterations;
      if (iteration === undefined) throw new Error('nothing is known');
      const steps = iteration.steps.map((step) => counted(step, counter));
      const taken = write('planned', { ...known, iterations: [{ ...iteration, steps }] }, false);
      expect(taken.mayNeedHealing).toBe(true);
    };
    expect(growth(work)).toBeLessThan(LINEAR);
  });

  it('of failures that an array of ours left out', () => {
    const work = (entries: number, counter: Counter): void => {
      const outlines = failures(entries).map(({ id }, index): FailureOutline =>
        counted({ id, startMs: index, failure: 'gateway-unavailable' }, counter),
      );
      const isReplaced = replacedFailuresIn(outlines.slice(-1), nextAfter(outlines));
      expect(outlines.filter(isReplaced)).toHaveLength(entries - 1);
    };
    expect(growth(work)).toBeLessThan(LINEAR);
  });

  it('of one iteration that stands in the array many times', () => {
    const work = (entries: number, counter: Counter): void => {
      const outlines = Array.from({ length: entries }, (): FailureOutline =>
        counted({ id: 'same', startMs: 0, failure: 'gateway-unavailable' }, counter),
      );
      const isReplaced = replacedFailuresIn([], nextAfter(outlines));
      expect(outlines.some(isReplaced)).toBe(false);
    };
    expect(growth(work)).toBeLessThan(LINEAR);
  });

  it('of steps that several versions of an iteration hold', () => {
    const work = (entries: number, counter: Counter): void => {
      const rows = ['planned', 'staged', 'approved', 'planned'].map((status, index): ChangeRow => ({
        id: `row-${index}`,
        op: 'update',
        data: {
          iterations: [
            {
              id: 'i',
              source: 'server',
              plan: stepsOf(entries, status).map((step) => counted(step, counter)),
            },
          ],
        },
        fieldMeta: { iterations: at(index) },
        createdAt: at(index),
        clientId: index === 0 ? RUNNER_CLIENT_ID : 'device',
      }));
      expect(healingOf(rows)?.restored).toBe(1);
    };
    expect(growth(work)).toBeLessThan(LINEAR);
  });
});

/** As the rule is told, in quadratic time. */
function isReplacedByTheRule(
  ourArray: readonly FailureOutline[],
  ours: readonly FailureOutline[],
  outline: FailureOutline,
): boolean {
  if (outline.failure === null || ourArray.some(({ id }) => id === outline.id)) return false;
  const later = [...ourArray, ...ours].filter(
    ({ id, startMs }) => id !== outline.id && startMs >= outline.startMs,
  );
  const next = later.toSorted((a, b) => a.startMs - b.startMs)[0];
  return next?.failure === outline.failure;
}

const anyOutline = fc.record({
  id: fc.constantFrom('a', 'b', 'c', 'd', null),
  startMs: fc.nat({ max: 5 }),
  failure: fc.constantFrom('gateway-unavailable' as const, 'budget-exhausted' as const, null),
});

describe('failures that were replaced', () => {
  it('are those of the rule, whatever stands in the arrays', () => {
    fc.assert(
      fc.property(fc.array(anyOutline), fc.array(anyOutline), anyOutline, (ourArray, ours, outline) => {
        const found = replacedFailuresIn(ourArray, nextAfter(ours))(outline);
        expect(found).toBe(isReplacedByTheRule(ourArray, ours, outline));
      }),
      { numRuns: 2_000 },
    );
  });
});

const LONG = 200_000;
const update = (data: unknown): ChangeRow => ({
  id: 'row-1',
  op: 'update',
  data,
  fieldMeta: {},
  createdAt: at(0),
  clientId: 'device',
});

describe('arrays that are longer than a call may have arguments', () => {
  it('do not fail the one who looks for a wish to cancel', () => {
    const iterations = Array.from({ length: LONG }, () => ({ cancelRequested: true, startedAt: at(0) }));
    const taken = takeInMissionRows(UNKNOWN_MISSION, [update({ iterations })]);
    expect(taken.cancelRequestedAtMs).toBe(Date.parse(at(0)));
  });

  it('of steps with one id do not fail the one who compares them', () => {
    const plan = Array.from({ length: LONG }, () => ({ id: 'same', status: 'planned' }));
    const write = { value: [{ id: 'i', source: 'server', plan }], byUs: true, wins: true };
    const { known } = takeInIterations(NO_KNOWN_ITERATIONS, write);
    // More than is kept of a mission: whether something was lost is then for the healing to find out.
    expect(known).toEqual({ weWrote: true, iterations: [], standing: [], tooMany: true });
    expect(takeInIterations(known, write).mayNeedHealing).toBe(true);
  });
});

const nested = (levels: number): unknown => JSON.parse('['.repeat(levels) + ']'.repeat(levels)) as unknown;

describe('a value that nests', () => {
  it.each([100_000, MAX_NESTING + 1])('%i levels deep counts as null', (levels) => {
    const merged = mergeRecord('r', [update({ title: 'kept', deep: nested(levels) })]);
    expect(merged?.record).toEqual({ id: 'r', title: 'kept', deep: null });
  });

  it('as deep as allowed is kept', () => {
    const merged = mergeRecord('r', [update({ deep: nested(MAX_NESTING) })]);
    expect(merged?.record['deep']).toEqual(nested(MAX_NESTING));
  });
});
