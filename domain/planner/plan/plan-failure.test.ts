import { expect, it } from 'vitest';
import { failureOfRounds } from './plan-failure.ts';
import { REPLY_FLAWS } from './reply-flaw.ts';
import { closingEntry, type StoredRound } from './stored-round.ts';

const base: StoredRound = {
  ...closingEntry({ language: 'de' } as StoredRound, { kind: 'cut-off' }),
  notices: [],
};
const round = (changes: Partial<StoredRound>): StoredRound => ({ ...base, ...changes });
const step = {
  ...{ id: '1', summary: 'x', status: 'planned' as const },
  intent: { kind: 'toolCall' as const, toolName: 'create_task', params: {} },
};
const codeOf = (...rounds: StoredRound[]) => failureOfRounds(rounds)?.code ?? null;

it('rounds without a step fail as what they ended with: used up, cut off, or nothing but repeats', () => {
  expect(codeOf(round({ finished: false, notices: [{ kind: 'rounds-used-up' }] }))).toBe('rounds-used-up');
  expect(codeOf(round({ finished: false, notices: [{ kind: 'cut-off' }] }))).toBe('plan-cut-off');
  expect(codeOf(round({ finished: true, notices: [{ kind: 'repeats' }] }))).toBe('no-plan');
  expect(codeOf(round({ finished: false }), round({ finished: true }))).toBeNull();
});

it('a reply that was none twice is the failure of its kind', () => {
  const codes = REPLY_FLAWS.map((flaw) => codeOf(round({ flaw, finished: false }), round({ flaw })));
  expect(codes).toEqual(['provider-error', 'model-refused', 'no-plan', 'empty-reply']);
});

it('a last reply that was held back is a failure, unless something was planned before', () => {
  const heldBack = round({ reply: { ...base.reply, finishReason: 'content_filter' } });
  expect(codeOf(round({ finished: false }), heldBack)).toBe('content-filtered');
  expect(codeOf(round({ steps: [step], finished: false }), heldBack)).toBeNull();
});

it('a flaw that was mended is none', () =>
  expect(codeOf(round({ flaw: 'empty', finished: false }), round({}))).toBeNull());

it('steps that were planned, dropped or open already are a plan', () => {
  expect(
    codeOf(round({ notices: [{ kind: 'still-open' }] }), round({ notices: [{ kind: 'repeats' }] })),
  ).toBeNull();
  expect(codeOf(round({ steps: [step], finished: false }), round({ flaw: 'refused' }))).toBeNull();
  expect(codeOf(round({ notices: [{ kind: 'dropped-steps', count: 1 }], finished: false }))).toBeNull();
});
