import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { budgetReminder, callSize, decideBudget } from './budget.ts';

const state = (usedTokens: number, reservedTokens = 0) => ({ usedTokens, reservedTokens });

describe('a call', () => {
  test('reserves what it may cost at most', () =>
    expect(decideBudget(state(100, 90), 1_000, 40)).toEqual({ kind: 'reserve', tokens: 40 }));

  test('gets the rest of a budget for itself alone, and waits while others hold some of it', () => {
    expect(decideBudget(state(990), 1_000, 40)).toEqual({ kind: 'reserve', tokens: 10 });
    expect(decideBudget(state(960, 1), 1_000, 40)).toEqual({ kind: 'held' });
    expect(decideBudget(state(960, 40), 1_000, 40)).toEqual({ kind: 'held' });
  });

  test('is refused once all is spent, and of an agent with a budget of 0 always', () => {
    for (const spent of [state(100), state(120, 7)]) {
      expect(decideBudget(spent, 100, 40)).toEqual({ kind: 'used-up' });
    }
    expect(decideBudget(state(0), 0, 40)).toEqual({ kind: 'used-up' });
  });

  test('costs its request, with a margin, and the longest reply that was asked for', () => {
    expect(callSize(2_000, 8_192)).toEqual({ atMostTokens: 2_200 + 8_192, estimatedTokens: 3_000 });
    expect(callSize(2_000, 500)).toEqual({ atMostTokens: 2_700, estimatedTokens: 2_500 });
  });

  test('leaves room for others in a day of 100,000 tokens', () => {
    const { atMostTokens } = callSize(1_300, 8_192);
    expect(Math.floor(100_000 / atMostTokens)).toBeGreaterThanOrEqual(10);
  });
});

test('whatever calls run at once and whatever they cost, an agent overspends by less than one of them', () => {
  const call = fc.record({ atMost: fc.integer({ min: 1, max: 50 }), share: fc.constantFrom(0, 0.5, 1) });
  // Each turn starts the next call, if it may, or settles one of those under way.
  const turn = fc.option(fc.nat({ max: 5 }), { freq: 2 });
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 200 }),
      fc.array(call, { minLength: 10, maxLength: 30 }),
      fc.array(turn, { minLength: 30, maxLength: 80 }),
      (max, calls, turns) => {
        let used = 0;
        let largest = 0;
        const underWay: { tokens: number; cost: number }[] = [];
        const waiting = [...calls];
        for (const settles of turns) {
          const [next] = waiting;
          const reserved = underWay.reduce((sum, { tokens }) => sum + tokens, 0);
          if (settles !== null) used += underWay.splice(settles % (underWay.length || 1), 1)[0]?.cost ?? 0;
          else if (next !== undefined) {
            const decision = decideBudget(state(used, reserved), max, next.atMost);
            if (decision.kind !== 'reserve') continue;
            const cost = Math.ceil(next.atMost * next.share);
            largest = Math.max(largest, cost);
            underWay.push({ tokens: decision.tokens, cost });
            waiting.shift();
          }
        }
        used += underWay.reduce((sum, { cost }) => sum + cost, 0);
        expect(used).toBeLessThanOrEqual(Math.max(0, max - 1) + largest);
      },
    ),
    { numRuns: 1_000 },
  );
});

test('model and user are reminded from three quarters on', () => {
  expect(budgetReminder(74, 100)).toBeNull();
  expect(budgetReminder(75, 100)).toEqual({ usedTokens: 75, maxTokens: 100 });
});
