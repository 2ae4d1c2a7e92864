import { describe, expect, it } from 'vitest';
import { leastContextTokens, readChars, replyTokens, requestTokens, shouldCompact } from './window.ts';

const window = (contextTokens: number, maxReplyTokens = 8_192) => ({ contextTokens, maxReplyTokens });

describe('a window', () => {
  it('leaves room for the reply, a quarter at most', () => {
    expect(replyTokens(window(128_000))).toBe(8_192);
    expect(replyTokens(window(8_000))).toBe(2_000);
    for (const tokens of [leastContextTokens(), 8_000, 128_000, 1_000_000])
      expect(requestTokens(window(tokens)) + replyTokens(window(tokens))).toBeLessThan(tokens);
  });

  it('bounds what the tools of a round may read', () => {
    expect(readChars(window(128_000))).toBe(32_000);
    expect(readChars(window(8_000))).toBeLessThan(3_000);
  });

  it('needs at least some thousand tokens, and 8,000 are more than enough', () => {
    // As .env.example and docs/planner.md say.
    expect(leastContextTokens()).toBe(5_000);
  });
});

describe('rounds are summarised', () => {
  const room = requestTokens(window(10_000));
  const near = Math.ceil(room * 0.8);

  it('when the next request, tools and answers included, comes near the window', () => {
    expect(shouldCompact({ nextTokens: near, roundsTokens: near / 2 }, window(10_000))).toBe(true);
    expect(shouldCompact({ nextTokens: room * 0.7, roundsTokens: near / 2 }, window(10_000))).toBe(false);
  });

  it('and only where it frees something: not again right after a summary, nor for a long prompt', () => {
    expect(shouldCompact({ nextTokens: near, roundsTokens: room * 0.2 }, window(10_000))).toBe(false);
    expect(shouldCompact({ nextTokens: near, roundsTokens: 0 }, window(10_000))).toBe(false);
  });
});
