import { describe, expect, it } from 'vitest';
import {
  acceptableIterations,
  failedIteration,
  plannedIteration,
  ranElsewhere,
  withIteration,
} from './iterations.ts';
import type { FailureCode } from '#domain/wire/iteration.ts';

const times = (iterationId: string) => ({
  iterationId,
  startedAtIso: '2026-05-04T12:00:00.000Z',
  finishedAtIso: '2026-05-04T12:00:05.000Z',
});
const step = {
  id: 's1',
  summary: 'Create task: x',
  intent: { kind: 'toolCall', toolName: 'create_task', params: { title: 'x' } },
  status: 'planned',
} as const;
const planned = (id: string) => plannedIteration(times(id), [step], 'Geplant.');
const failed = (id: string, code: FailureCode = 'grant-absent') =>
  failedIteration(times(id), { code, phase: 'resolving-inputs' }, 'Erteile die Freigabe.');
const ofDevice = (id: string, more = {}) => ({
  id,
  plan: [],
  source: 'browser',
  overallStatus: 'approved',
  ...more,
});
const ids = (iterations: readonly Readonly<Record<string, unknown>>[]) => iterations.map(({ id }) => id);

describe('plannedIteration', () => {
  it('waits for review', () => {
    expect(planned('i1')).toMatchObject({ overallStatus: 'awaiting-review', source: 'server', plan: [step] });
  });

  it('with an empty plan counts as approved', () => {
    expect(plannedIteration(times('i1'), [], 'Nichts.')).toMatchObject({
      overallStatus: 'approved',
      plan: [],
    });
  });
});

it('a failed iteration has an empty plan and says why', () => {
  expect(failed('i1')).toEqual({
    id: 'i1',
    startedAt: '2026-05-04T12:00:00.000Z',
    finishedAt: '2026-05-04T12:00:05.000Z',
    summary: 'Erteile die Freigabe.',
    plan: [],
    overallStatus: 'failed',
    source: 'server',
    errorDetails: { name: 'grant-absent', message: 'Erteile die Freigabe.', phase: 'resolving-inputs' },
  });
});

describe('withIteration', () => {
  it('adds ours at the end and changes no other', () => {
    const others = [ofDevice('d1', { userFeedback: 'gut', unknown: { kept: [1] } }), ofDevice('d2')];
    expect(withIteration(others, planned('i1'))).toEqual([...others, planned('i1')]);
  });

  it('holds an iteration once, however often it is written', () => {
    expect(ids(withIteration([planned('i1'), ofDevice('d1')], planned('i1')))).toEqual(['d1', 'i1']);
  });

  it('keeps what the user said to it while it was under way', () => {
    const said = { ...failed('i1'), userFeedback: 'nicht heute' };
    expect(withIteration([said], planned('i1'))).toEqual([{ ...planned('i1'), userFeedback: 'nicht heute' }]);
    expect(withIteration([{ ...said, userFeedback: '' }], planned('i1'))).toEqual([planned('i1')]);
  });

  it('replaces our last iteration when the same failure comes again', () => {
    expect(ids(withIteration([failed('i0'), failed('i1')], failed('i2')))).toEqual(['i0', 'i2']);
    expect(ids(withIteration([failed('i1'), ofDevice('d1')], failed('i2')))).toEqual(['i1', 'd1', 'i2']);
    expect(ids(withIteration([ofDevice('d1'), failed('i1')], failed('i2')))).toEqual(['d1', 'i2']);
  });

  it.each([
    ['the failure is another one', failed('i1', 'gateway-rejected'), failed('i2')],
    ['the user commented on it', { ...failed('i1'), userFeedback: 'ja' }, failed('i2')],
    ['it was a device that failed', { ...failed('i1'), source: 'browser' }, failed('i2')],
    ['the run worked this time', failed('i1'), planned('i2')],
    ['the last one was planned', planned('i1'), failed('i2')],
    [
      'the last one has details of another type',
      { ...failed('i1'), errorDetails: 'grant-absent' },
      failed('i2'),
    ],
  ])('keeps both when %s', (_, last, added) => {
    expect(ids(withIteration([last], added))).toEqual(['i1', 'i2']);
  });

  it.each([undefined, null, 5, 'text', {}, [5, 'text', null, []]])('makes a list of %j', (stored) => {
    expect(withIteration(stored, planned('i1'))).toEqual([planned('i1')]);
  });
});

it('no iteration without a plan list leaves here: it would stop the pick-up of all missions', () => {
  const stored = [{ id: 'a' }, { id: 'b', plan: 'x' }, { id: 'c', plan: [step] }];
  expect(acceptableIterations(stored)).toEqual([
    { id: 'a', plan: [] },
    { id: 'b', plan: [] },
    { id: 'c', plan: [step] },
  ]);
});

describe('a browser has run an instant', () => {
  const dueMs = Date.parse('2026-05-04T12:00:00.000Z');
  const began = (atMs: number, more = {}) =>
    ofDevice('d1', { startedAt: new Date(atMs).toISOString(), ...more });

  it('if its iteration began in that very millisecond or later, and not if it began before', () => {
    expect(ranElsewhere([began(dueMs)], dueMs, dueMs + 60_000)).toBe(true);
    expect(ranElsewhere([began(dueMs + 1)], dueMs, dueMs + 60_000)).toBe(true);
    expect(ranElsewhere([began(dueMs - 1)], dueMs, dueMs + 60_000)).toBe(false);
  });

  it('while it has been running for less than five minutes; one that is finished counts whenever', () => {
    const running = [began(dueMs, { overallStatus: 'running' })];
    const minutesMs = 5 * 60_000;
    expect(ranElsewhere(running, dueMs, dueMs + minutesMs - 1)).toBe(true);
    expect(ranElsewhere(running, dueMs, dueMs + minutesMs)).toBe(false);
    expect(ranElsewhere([began(dueMs)], dueMs, dueMs + 10 * minutesMs)).toBe(true);
  });

  it('and never by an iteration of ours, or by what is no list', () => {
    expect(ranElsewhere([began(dueMs, { source: 'server' })], dueMs, dueMs)).toBe(false);
    expect(ranElsewhere('text', dueMs, dueMs)).toBe(false);
  });
});
