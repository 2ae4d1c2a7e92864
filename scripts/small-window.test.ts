import { describe, expect, it } from 'vitest';
import { tokensIn, tokensOfMessage } from '#bench/tokens/count.ts';
import {
  documented,
  otherGerman,
  plainEnglish,
  plainGerman,
  proposeAll,
  typical,
} from '#bench/tokens/scenarios.ts';
import { simulateRun, typicalModel } from '#bench/tokens/simulate.ts';
import { leastContextTokens, replyTokens } from '#domain/planner/model/window.ts';

/** With the tokenizer: what the runner sends, by the very figures of a provider. */
describe.each([leastContextTokens(), 8_000])('in a window of %i tokens', (contextTokens) => {
  const window = { contextTokens, maxReplyTokens: 8_192 };

  it.each(
    [plainGerman, plainEnglish, otherGerman, proposeAll, typical, documented].map(
      (scenario) => [scenario.name, scenario] as const,
    ),
  )('every round of "%s" fits, with room for the reply', (_, scenario) => {
    const rounds = simulateRun(scenario, typicalModel, window);
    expect(rounds.length).toBeGreaterThan(0);
    for (const { messages, tools } of rounds) {
      const tokens =
        messages.reduce((sum, message) => sum + tokensOfMessage(message), 0) +
        tokensIn(JSON.stringify(tools));
      expect(tokens + replyTokens(window)).toBeLessThanOrEqual(contextTokens);
      expect(JSON.stringify(messages)).toContain(scenario.prompt.mission.objective);
    }
  });

  it('inputs of megabytes are cut to fit, in German, Chinese and JSON', () => {
    for (const text of ['Wörter und noch mehr davon. ', '明天上午九点和王经理开会。', '{"a":[1,"x"]},']) {
      const value = text.repeat(100_000);
      const inputs = Array.from({ length: 20 }, (__, index) => ({
        ...{ module: 'notes', table: 'notes', id: `n${index}`, title: null },
        fields: [{ name: 'content', value }],
      }));
      const mission = { title: 'x', objective: value, conceptMarkdown: value };
      const [round] = simulateRun(
        { ...plainGerman, prompt: { ...plainGerman.prompt, inputs, mission } },
        typicalModel,
        window,
      );
      const { messages = [], tools = [] } = round ?? {};
      const tokens =
        messages.reduce((sum, message) => sum + tokensOfMessage(message), 0) +
        tokensIn(JSON.stringify(tools));
      expect(tokens + replyTokens(window)).toBeLessThanOrEqual(contextTokens);
    }
  });
});
