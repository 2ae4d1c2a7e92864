import { documented } from './scenarios.ts';
import { simulateRun } from './simulate.ts';

/** The first request of `documented` as docs/planner.md shows it: messages, then tools, one to a line. */
export function documentedPrompt(): string {
  const [first] = simulateRun(documented, () => ({
    ...{ content: 'Nothing is needed.', toolCalls: [], finishReason: 'stop', resolvedModel: null },
    ...{ totalTokens: 0, promptTokens: 0, completionTokens: 0 },
  }));
  const messages = (first?.messages ?? []).map(({ role, content }) => `[${role}]\n${content ?? ''}`);
  const tools = (first?.tools ?? []).map((tool) => JSON.stringify(tool.function));
  return [...messages, ['[tools]', ...tools].join('\n')].join('\n\n');
}
