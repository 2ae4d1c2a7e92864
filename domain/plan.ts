import type { PlannerReply, PlannerToolCall } from './planner-reply.ts';
import { CUT_MARK, cutAtWord, visibleLine, visibleText } from './prompt-text.ts';
import { checkArguments } from './tool-catalog.ts';
import type { ToolDefinition } from './tool-catalog.ts';

/** A step of a server iteration (contract section 2): the web app carries it out on the device. */
export interface PlanStep {
  readonly id: string;
  /** User content: belongs into the iteration and nowhere else. */
  readonly summary: string;
  readonly intent: {
    readonly kind: 'toolCall';
    readonly toolName: string;
    readonly params: Readonly<Record<string, unknown>>;
  };
  readonly status: 'planned';
}

/** The answer to one tool call, in the order of the reply's calls. */
export interface ToolResult {
  readonly toolCallId: string;
  readonly name: string;
  readonly content: string;
}

export interface RoundOutcome {
  readonly newSteps: readonly PlanStep[];
  readonly toolResults: readonly ToolResult[];
  /** No call needs an answer: the plan is complete. */
  readonly finished: boolean;
}

export interface RoundInput {
  readonly reply: PlannerReply;
  /** What this run offers (see `offeredTools`); nothing else enters a plan. */
  readonly offered: ReadonlyMap<string, ToolDefinition>;
  readonly previousSteps: readonly PlanStep[];
  /** Number of this round, from 1: part of the id given to a call that came without one. */
  readonly round: number;
  /** Id of the step at that place of the whole plan, from 0. Must be deterministic: a retried round repeats it. */
  readonly stepId: (index: number) => string;
}

/** The contract's answer to a call that became a step (section 12). */
const RECORDED = 'recorded';
/** More than a user would review; a looping model must not fill the user's mission record. */
const MAX_STEPS = 50;
const MAX_PARAMS_CHARS = 20_000;
const MAX_STEP_SUMMARY_CHARS = 120;
const MAX_SUMMARY_CHARS = 2_000;

/**
 * Turns one reply into planned steps and into the answers for the model.
 *
 * Every call gets exactly one answer: `recorded`, or an error in words that the model can act upon. A call that
 * repeats a step (same tool, same params) adds nothing and is answered `recorded`, since the model got what it asked.
 */
export function planRound({ reply, offered, previousSteps, round, stepId }: RoundInput): RoundOutcome {
  const newSteps: PlanStep[] = [];
  const known = new Set(previousSteps.map(identityOf));
  const answer = (call: PlannerToolCall): string => {
    const checked = checkCall(call, offered);
    if (typeof checked === 'string') return checked;
    const identity = identityOf(checked);
    if (known.has(identity)) return RECORDED;
    const index = previousSteps.length + newSteps.length;
    if (index >= MAX_STEPS) return `error: the plan is full, it holds at most ${MAX_STEPS} steps`;
    known.add(identity);
    newSteps.push({ id: stepId(index), ...checked, status: 'planned' });
    return RECORDED;
  };
  const ids = callIds(reply.toolCalls, round);
  const toolResults = reply.toolCalls.map((call, index) => ({
    toolCallId: ids[index] ?? '',
    name: call.name,
    content: answer(call),
  }));
  return { newSteps, toolResults, finished: toolResults.length === 0 };
}

/** The model's text for the user, cut to what an iteration's summary should hold, or null if there is none. */
export function summaryOf(reply: PlannerReply): string | null {
  const text = visibleText(reply.content ?? '');
  return text === '' ? null : cutAtWord(text, MAX_SUMMARY_CHARS, CUT_MARK);
}

function checkCall(
  call: PlannerToolCall,
  offered: ReadonlyMap<string, ToolDefinition>,
): Pick<PlanStep, 'summary' | 'intent'> | string {
  const tool = offered.get(call.name);
  if (tool === undefined) return `error: no such tool; allowed: ${[...offered.keys()].join(', ') || 'none'}`;
  if ('invalidArguments' in call) return 'error: the arguments are not a JSON object; call again with one';
  const checked = checkArguments(tool, call.arguments);
  if (!checked.ok) return `error: wrong arguments: ${checked.problems}`;
  if (canonicalJson(checked.params).length > MAX_PARAMS_CHARS)
    return `error: the arguments are too long, at most ${MAX_PARAMS_CHARS} characters`;
  return {
    summary: stepSummary(tool, checked.params),
    intent: { kind: 'toolCall', toolName: tool.name, params: checked.params },
  };
}

/** Gateways send empty ids, and some models number the calls of one reply alike; answers need distinct ones. */
function callIds(calls: readonly PlannerToolCall[], round: number): string[] {
  const seen = new Set<string>();
  return calls.map((call, index) => {
    const id = call.id === '' || seen.has(call.id) ? `call_${round}_${index}` : call.id;
    seen.add(id);
    return id;
  });
}

const identityOf = (step: Pick<PlanStep, 'intent'>): string =>
  `${step.intent.toolName} ${canonicalJson(step.intent.params)}`;

/** JSON with sorted keys: two ways to write the same arguments are the same text. */
function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`).join(',')}}`;
}

/** The first of these that a call has tells a person best what the step is about. */
const TELLING_PARAMS = [
  'title',
  'name',
  'titleMatch',
  'firstName',
  'clientName',
  'subject',
  'claim',
  'query',
  'questionText',
  'description',
  'content',
  'url',
];

function stepSummary(tool: ToolDefinition, params: Readonly<Record<string, unknown>>): string {
  const words = tool.name.replaceAll('_', ' ');
  const action = words.charAt(0).toUpperCase() + words.slice(1);
  const telling = [...TELLING_PARAMS, ...Object.keys(tool.parameters.properties)]
    .map((name) => (Object.hasOwn(params, name) ? params[name] : undefined))
    .find((value): value is string => typeof value === 'string' && visibleText(value) !== '');
  return visibleLine(telling === undefined ? action : `${action}: ${telling}`, MAX_STEP_SUMMARY_CHARS);
}
