import { describe, expect, it } from 'vitest';
import { judgeClock } from './doctor/databases.ts';
import { findingsOf, ok } from './finding.ts';

describe('a check', () => {
  it('that does not answer in time is a fault that says so', async () => {
    const silent = { name: 'silent', look: () => new Promise<never>(() => undefined) };
    expect(await findingsOf(silent, [], 5)).toMatchObject([
      { check: 'silent', status: 'fault', found: 'no answer within 0.005 s' },
    ]);
  });

  it('that fails is a fault with the reason, and without passwords', async () => {
    const url = 'postgres://user:secret-word@host/db';
    const failing = {
      name: 'failing',
      look: () => Promise.reject(new Error(`cannot use secret-word of ${url}`)),
    };
    const [finding] = await findingsOf(failing, [url]);
    expect(finding?.status).toBe('fault');
    expect(finding?.found).toContain('cannot use');
    expect(JSON.stringify(finding)).not.toContain('secret-word');
  });

  it('may give several findings, each named', async () => {
    const look = () => Promise.resolve([{ about: 'one', ...ok('fine') }, ok('fine')]);
    expect((await findingsOf({ name: 'both', look }, [])).map(({ check }) => check)).toEqual([
      'both: one',
      'both',
    ]);
  });
});

describe('another clock', () => {
  it.each([
    [0, 5, 'ok', 'ahead of'],
    [-1_900, 5, 'ok', 'behind'],
    [2_004, 5, 'ok', 'ahead of'],
    [2_006, 5, 'warning', 'ahead of'],
    [-60_006, 5, 'fault', 'behind'],
  ] as const)('that is %i ms ahead, give or take %i ms: %s', (aheadMs, errorMs, status, words) => {
    const judged = judgeClock(aheadMs, errorMs);
    expect(judged.status).toBe(status);
    expect(judged.found).toContain(words);
  });
});
