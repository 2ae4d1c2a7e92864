import { describe, expect, it } from 'vitest';
import { holdsCallText } from './call-as-text.ts';

describe('a tool call that is written as text', () => {
  it.each([
    '<tool_call>\n{"name": "create_task", "arguments": {"title": "x"}}\n</tool_call>',
    'Ich lege eine Aufgabe an.\n<tool_call>{"name": "create_task"',
    '<function=create_task>\n<parameter=title>\nx\n</parameter>\n</function>',
    '<function_calls><invoke name="create_task"><parameter name="title">x</parameter></invoke></function_calls>',
    '<|tool_call|>[{"name": "create_task"}]',
    '<|tool_calls_section_begin|><|tool_call_begin|>functions.create_task:0',
    '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>create_task',
    '<｜DSML｜function_calls>',
    '<|python_tag|>create_task.call(title="x")',
    '[TOOL_CALLS][{"name": "create_task", "arguments": {"title": "x"}}]',
    '[TOOL_REQUEST]{"name": "create_task"}[END_TOOL_REQUEST]',
    '✿FUNCTION✿: create_task\n✿ARGS✿: {}',
    '<|call|>commentary to=functions.create_task json<|message|>{"title":"x"}',
    'assistantcommentary to=functions.create_task json{"title":"x"}',
    '```tool_code\nprint(default_api.create_task(title="x"))\n```',
    '{"name": "create_task", "parameters": {"title": "x"}}',
    '{"title": "x", "priority": "high"}',
    '```json\n{"tool": "create_task", "args": {"title": "x"}}\n```',
    '[{"function": "create_task"}]',
    '{"name": "create_task", "arguments": {"title": "x"}}\n{"name": "create_task"',
    "{'name': 'create_task', 'arguments': {'title': 'x'}}",
    'Gern! {"content":null,"tool_calls":[{"function":{"name":"create_task"}}]} Das war es.',
    'create_task(title="x")',
    '[create_task(title="x"), create_task(title="y")]',
    'get_task_stats()',
    'Thought: hm\nAction: create_task\nAction Input: {"title": "x"}',
    'Tool: create_task\ntitle: x',
    '"create_task": {"title": "x"}',
  ])('is one: %s', (words) => expect(holdsCallText(words)).toBe(true));

  it.each([
    'Drei Aufgaben sind geplant.',
    'Ich habe create_task dreimal aufgerufen.',
    'Mit create_task (und create_note) ist alles geplant.',
    'Das Werkzeug create_task: damit geht es.',
    'create_task() wurde nicht gebraucht.',
    '[Hinweis] Die Woche ist voll {siehe Kalender}.',
    '{Platzhalter}',
    '- [ ] Müll\n- [x] Zelt',
    'Der Name: "Zelt", die Funktion: Schutz.',
    '```\nMüll\n```',
    '',
  ])('is none: %s', (words) => expect(holdsCallText(words)).toBe(false));
});
