import { describe, expect, it } from 'vitest';
import { storedRequestSchema } from '#domain/planner/plan/stored-request.ts';
import { TOOL_CATALOG } from '#domain/planner/tools/tool-catalog.ts';
import { encodeRequest } from './gateway.ts';
import { sizeOf } from './request-size.ts';

const tool = TOOL_CATALOG.get('create_task');
const request = {
  model: 'mana/reasoning',
  messages: [
    { role: 'system' as const, content: 'Rules' },
    { role: 'user' as const, content: 'Plane die Woche. '.repeat(100) },
  ],
  tools: tool === undefined ? [] : [tool],
};

describe('the size of a request', () => {
  it('counts messages and tools, and knows the reply that it asks for', () => {
    const size = sizeOf(encodeRequest({ ...request, maxTokens: 2_000, toolChoice: 'none' }));
    expect(size).toMatchObject({ model: 'mana/reasoning', maxReplyTokens: 2_000, toolChoice: 'none' });
    const withoutTools = sizeOf(encodeRequest({ ...request, tools: [] }));
    expect(size.tokens).toBeGreaterThan(withoutTools.tokens + 50);
    expect(withoutTools.tokens).toBeGreaterThan(300);
  });
});

describe('a request that an older process kept', () => {
  const bodyText = JSON.stringify({
    ...{ model: 'mana/reasoning', messages: request.messages, stream: false, temperature: 0.3 },
    tools: [{ type: 'function', function: { name: 'x', description: 'y', parameters: {} } }],
    tool_choice: 'auto',
  });
  const round = {
    opening: {
      prompt: [{ role: 'system', content: 'Data: <<<0123456789abcdef01234567 …' }],
      ...{ unreadableInputs: [], language: 'de', flaggedInputs: [], knownUrls: [] },
    },
    ...{ planned: ['create_task'], answered: ['list_tasks'], delimiter: '0123456789abcdef01234567' },
    ...{ flaggedTexts: [], notices: [] },
  };

  it('is still readable, and has a size', () => {
    const stored = storedRequestSchema.parse({ bodyText, idempotencyKey: 'k', round });
    expect(stored.round).toMatchObject({ ...round, compactedUpTo: 0, again: null });
    expect(sizeOf(stored.bodyText)).toMatchObject({ maxReplyTokens: null });
    expect(sizeOf(stored.bodyText).tokens).toBeGreaterThan(300);
  });
});
