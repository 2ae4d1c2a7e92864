import type { AgentPolicy } from '#domain/wire/agent.ts';
import type { ChatMessage } from '#domain/planner/plan/conversation.ts';
import { dataBlock, withoutDelimiter } from '#domain/planner/plan/data-block.ts';
import type { UserZone } from '#domain/base/local-time.ts';
import { answerAboutEvents } from './read-tools/events.ts';
import { answerAboutGoal, answerAboutGoals } from './read-tools/goals.ts';
import { answerAboutNotes } from './read-tools/notes.ts';
import type { Reader } from './read-tools/reader.ts';
import { answerAboutTasks, answerTaskStats } from './read-tools/tasks.ts';
import { inputsShownWhole, labelOf } from './prompt-inputs.ts';
import { PROMPT_WORDING } from '#domain/planner/model/prompt-wording.ts';
import type { ReadableRecord } from '#domain/run/run-inputs.ts';
import { decisionOn, TOOL_CATALOG, type ToolDefinition } from '#domain/planner/tools/tool-catalog.ts';

/**
 * Tools that only read, over the kinds of records that a mission may have (docs/platform.md section 2): the server answers them
 * itself, so that the model sees real data. The catalog's other reading tools ask for what no run can hold (contacts,
 * weather, the whole of a day), and would have to be answered with guesses.
 */
const READERS: Readonly<Record<string, { readonly table: string; readonly read: Reader }>> = {
  list_tasks: { table: 'tasks', read: answerAboutTasks },
  get_task_stats: { table: 'tasks', read: answerTaskStats },
  get_todays_events: { table: 'events', read: answerAboutEvents },
  list_notes: { table: 'notes', read: answerAboutNotes },
  list_goals: { table: 'companionGoals', read: answerAboutGoals },
  get_goal_progress: { table: 'companionGoals', read: answerAboutGoal },
};

/**
 * The tools that a run answers: not denied, and with a record to answer from. That holds where the policy says `propose`, too:
 * such a tool is never a step, and what it reads is what the run may read.
 *
 * @param policy null for a mission without an agent
 */
export const readToolsFor = (
  policy: AgentPolicy | null,
  records: readonly Pick<ReadableRecord, 'table'>[],
): ToolDefinition[] =>
  [...TOOL_CATALOG.values()].filter((tool) => {
    const reader = READERS[tool.name];
    return (
      reader !== undefined &&
      decisionOn(policy, tool) !== 'deny' &&
      records.some(({ table }) => table === reader.table)
    );
  });

/**
 * Those of them that are worth offering: the prompt does not show all of their records whole anyway. The others are answered
 * as well, where a model calls them all the same.
 *
 * @param shown the first messages of the run
 */
export function readToolsToOffer(
  reads: readonly ToolDefinition[],
  records: readonly Omit<ReadableRecord, 'fields'>[],
  shown: { readonly messages: readonly ChatMessage[]; readonly delimiter: string },
): ToolDefinition[] {
  const whole = inputsShownWhole(
    shown.messages.map(({ content }) => content ?? ''),
    shown.delimiter,
  );
  const tables = new Set(records.filter((record) => !whole.has(labelOf(record))).map(({ table }) => table));
  return reads.filter(({ name }) => tables.has(tableReadBy(name) ?? ''));
}

/** The kind of records that a tool of `readToolsFor` reads; null for any other tool. */
export const tableReadBy = (toolName: string): string | null => READERS[toolName]?.table ?? null;

export interface ReadContext {
  readonly records: readonly ReadableRecord[];
  readonly nowMs: number;
  readonly timeZone: UserZone;
  /** Of this run's prompt: what is answered was read from records, and is marked like everything else of that kind. */
  readonly delimiter: string;
  /** Of one answer, for a model with a small window. */
  readonly maxChars?: number;
}

/**
 * Answers a call of one of `readToolsFor`.
 *
 * @param params checked against the tool's schema
 * @returns JSON in a block of data, at most some 8,000 characters, or an error that the model can act upon
 */
export function answerRead(
  toolName: string,
  params: Readonly<Record<string, unknown>>,
  { records, nowMs, timeZone, delimiter, maxChars = MAX_ANSWER_CHARS }: ReadContext,
): string {
  const reader = READERS[toolName];
  if (reader === undefined) return 'error: nothing to read here';
  const read = records.filter((record) => record.table === reader.table);
  const answer = reader.read({ records: read, params, nowMs, timeZone });
  return typeof answer === 'string'
    ? answer
    : dataBlock(delimiter, toolName, render(answer, delimiter, Math.min(maxChars, MAX_ANSWER_CHARS)));
}

const MAX_ANSWER_CHARS = 8_000;
const NOTE = 'Only the records that this mission may read; the user may have others.';

/** Whole entries as long as they fit; how many were left out is said. */
function render(
  { facts, entries }: Exclude<ReturnType<Reader>, string>,
  delimiter: string,
  maxChars: number,
): string {
  const shown: unknown[] = [];
  let chars = JSON.stringify({ note: NOTE, ...facts }).length;
  for (const entry of entries ?? []) {
    chars += JSON.stringify(entry).length + 1;
    if (chars > maxChars) break;
    shown.push(entry);
  }
  const notShown = (entries?.length ?? 0) - shown.length;
  const text = JSON.stringify({
    note: NOTE,
    ...facts,
    ...(entries === undefined ? {} : { entries: shown }),
    ...(notShown === 0 ? {} : { notShownForLackOfRoom: notShown }),
  });
  return withoutDelimiter(text, delimiter);
}

const MARKS: readonly string[] = Object.values(PROMPT_WORDING).map(({ mark }) => `${mark} `);

/** The delimiter that a run's prompt names in the first line of its user message; null if it names none. */
export function delimiterOf(prompt: readonly ChatMessage[]): string | null {
  const [rules, user] = prompt;
  const [line = ''] = user?.role === 'user' ? user.content.split('\n', 1) : [];
  const mark = MARKS.find((words) => line.startsWith(words));
  if (mark !== undefined) return /^\w{8,}$/.exec(line.slice(mark.length))?.[0] ?? null;
  // Older prompts name it in their rules.
  return /<<<(\w{8,})/.exec(rules?.role === 'system' ? rules.content : '')?.[1] ?? null;
}
