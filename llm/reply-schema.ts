import { jsonOrUndefined } from '#http/replies.ts';
import { z } from 'zod';
import { holdsCallText, withoutFence } from '#domain/planner/tools/call-as-text.ts';
import { readFinishReason, type FinishReason } from '#domain/planner/model/finish-reason.ts';
import { wordsOf } from '#domain/planner/plan/model-words.ts';
import type { PlannerReply, PlannerToolCall } from '#domain/planner/model/planner-reply.ts';

/**
 * What a column holds and a number can say exactly, whatever the gateway sends: in between, rounded up; a text of digits
 * is a number to some providers. What says nothing counts as 0, and the estimate stands for it.
 */
const clampTokens = (value: number): number =>
  Math.ceil(Math.min(Math.max(value, 0), Number.MAX_SAFE_INTEGER));
const tokens = z
  .union([
    z.number(),
    z
      .string()
      .regex(/^\d{1,20}$/)
      .transform(Number),
  ])
  .catch(0)
  .transform(clampTokens);
const usageSchema = z
  .object({ prompt_tokens: tokens, completion_tokens: tokens, total_tokens: tokens })
  .catch({ prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 });

type Fields = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The name is kept in clear, so only something that looks like `provider/model` is taken for one. */
const MODEL_NAME = /^(?=.{3,100}$)[\w.+-]+(?:\/[\w.:@+-]+){1,3}$/;

/** A 200 as it came. Also the shape in which it is kept, encrypted. */
export const rawReplySchema = z.object({
  /** The media type is not asked, since the gateway sometimes mislabels. */
  bodyText: z.string(),
  /** Header `X-Mana-LLM-Resolved`. */
  resolvedModel: z.string().nullable(),
});
export type RawReply = z.infer<typeof rawReplySchema>;

/**
 * Reads the body of a 200 (docs/platform.md section 10), with the oddities of what stands behind the gateway. What can be read is
 * used: the reply is paid for, and asking again is too. Only without any message there is no reply. Pure: what is read is
 * the same whenever it is read again.
 *
 * @returns the reply, or null when the body holds none: that is an error and never an empty plan
 */
export function readReply({ bodyText, resolvedModel }: RawReply): PlannerReply | null {
  const body = jsonOrUndefined(bodyText);
  const choice = isObject(body) ? choiceOf(body['choices']) : null;
  if (!isObject(body) || choice === null) return null;
  const { message } = choice;
  const parts = partsOf(message['content']);
  const toolCalls = [...callsOf(message), ...parts.flatMap((part) => callOfPart(part) ?? [])];
  const refusal = typeof message['refusal'] === 'string' ? wordsOf(message['refusal']) : '';
  const words = wordsOf(parts.map(textOf).join(''));
  const usage = usageSchema.parse(body['usage']);
  return {
    ...contentOf(words, refusal, toolCalls),
    toolCalls,
    finishReason: finishReasonOf(choice, refusal !== '' && toolCalls.length === 0),
    totalTokens: clampTokens(Math.max(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens)),
    promptTokens: usage.prompt_tokens,
    completionTokens: usage.completion_tokens,
    resolvedModel: resolvedModel !== null && MODEL_NAME.test(resolvedModel) ? resolvedModel : null,
  };
}

interface Choice {
  readonly message: Fields;
  readonly finishReason: FinishReason | null;
  readonly hasError: boolean;
}

/** The first one that has a message. */
function choiceOf(choices: unknown): Choice | null {
  for (const choice of Array.isArray(choices) ? (choices as unknown[]) : []) {
    if (!isObject(choice) || !isObject(choice['message'])) continue;
    return {
      message: choice['message'],
      finishReason: readFinishReason(choice['finish_reason']),
      hasError: isObject(choice['error']),
    };
  }
  return null;
}

function finishReasonOf({ finishReason, hasError }: Choice, isRefused: boolean): FinishReason | null {
  if (finishReason === 'content_filter') return finishReason;
  if (hasError) return 'error';
  return isRefused ? 'refusal' : finishReason;
}

/** A call that is written as text beside real ones says nothing to anybody. */
function contentOf(words: string, refusal: string, calls: readonly unknown[]): { content: string | null } {
  const said = words === '' ? refusal : words;
  return { content: said === '' || (calls.length > 0 && holdsCallText(said)) ? null : said };
}

const partsOf = (content: unknown): unknown[] =>
  Array.isArray(content) ? (content as unknown[]) : [content];

/** `thinking`, `redacted_thinking`, `reasoning`, `reasoning_text`. */
const IS_THOUGHT = /think|thought|reason/i;

function textOf(part: unknown): string {
  if (typeof part === 'string') return part;
  if (!isObject(part) || (typeof part['type'] === 'string' && IS_THOUGHT.test(part['type']))) return '';
  return typeof part['text'] === 'string' ? part['text'] : '';
}

/** A part of Anthropic's content that is a call. */
const callOfPart = (part: unknown): PlannerToolCall | null =>
  isObject(part) && part['type'] === 'tool_use'
    ? readCall(part['id'], { name: part['name'], arguments: part['input'] })
    : null;

/** Of OpenAI's two ways to call, the older one where the newer one is not used. */
function callsOf(message: Fields): PlannerToolCall[] {
  const { tool_calls: sent, function_call: legacy } = message;
  const calls: unknown[] = Array.isArray(sent) ? sent : isObject(sent) ? [sent] : [];
  if (calls.length === 0) return isObject(legacy) ? [readCall(undefined, legacy)] : [];
  return calls.map((call) => {
    if (!isObject(call)) return readCall(undefined, {});
    return readCall(call['id'], isObject(call['function']) ? call['function'] : call);
  });
}

/** A call without a name is one all the same: it gets an answer that says so. */
function readCall(id: unknown, called: Fields): PlannerToolCall {
  const call = {
    id: typeof id === 'string' || typeof id === 'number' ? String(id) : '',
    name: toolNameOf(called['name']),
  };
  const args = argumentsOf(called['arguments']);
  if (args !== null) return { ...call, arguments: args };
  const raw = called['arguments'];
  return { ...call, invalidArguments: true, rawArguments: typeof raw === 'string' ? raw : '' };
}

const MAX_NAME_CHARS = 200;

/**
 * The tool that is meant, without what providers and templates put around it: `functions.create_task`,
 * `functions.create_task:0`, `create_task<|channel|>commentary`. Letters that only look alike stay what they are.
 */
function toolNameOf(sent: unknown): string {
  if (typeof sent !== 'string') return '';
  const [name = ''] = sent.slice(0, MAX_NAME_CHARS).split('<|');
  const parts = name.split(/[.:/]/).map((part) => part.trim());
  return parts.findLast((part) => part !== '' && !/^\d+$/.test(part)) ?? '';
}

/** @returns null when they are no JSON object */
function argumentsOf(sent: unknown): Record<string, unknown> | null {
  // A tool without parameters is often called with an empty text or null; the tool's own schema decides from there.
  if (sent === '' || sent === null || sent === undefined) return {};
  const once = typeof sent === 'string' ? jsonOrUndefined(withoutFence(sent.trim())) : sent;
  const value = typeof once === 'string' ? jsonOrUndefined(once) : once;
  return isObject(value) ? { ...value } : null;
}

/** Whether a body without a reply is a model's all the same, and so was paid for: a proxy's page is not. */
export function isCompletion({ bodyText }: RawReply): boolean {
  const body = jsonOrUndefined(bodyText);
  return typeof body === 'object' && body !== null && ('choices' in body || 'usage' in body);
}
