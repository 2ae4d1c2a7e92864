import { z } from 'zod';
import type { PlannerReply, PlannerToolCall } from '../domain/planner-reply.ts';

/** Content as text; some providers behind the gateway send it in parts. */
const contentSchema = z.union([
  z.string(),
  z.array(z.looseObject({ text: z.string() })).transform((parts) => parts.map((part) => part.text).join('')),
]);

const toolCallSchema = z.object({
  id: z.string().nullish(),
  function: z.object({ name: z.string(), arguments: z.unknown().optional() }),
});

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

/**
 * The 200 of contract section 10, with its oddities. Strict where a guess would pass for an answer (no choices, no
 * message, calls of an unknown shape), lenient in everything that only describes it.
 */
const completionSchema = z.object({
  choices: z.tuple(
    [
      z.object({
        message: z.object({
          content: contentSchema.nullish(),
          tool_calls: z.array(toolCallSchema).nullish(),
        }),
        finish_reason: z.string().nullable().catch(null),
      }),
    ],
    z.unknown(),
  ),
  usage: usageSchema,
});

const argumentsSchema = z.record(z.string(), z.unknown());

/** The name is kept in clear, so only something that looks like `provider/model` is taken for one. */
const MODEL_NAME = /^(?=.{3,100}$)[\w.+-]+(?:\/[\w.:@+-]+){1,3}$/;

/** A 200 as it came. */
export interface RawReply {
  /** The media type is not asked, since the gateway sometimes mislabels. */
  readonly bodyText: string;
  /** Header `X-Mana-LLM-Resolved`. */
  readonly resolvedModel: string | null;
}

/**
 * Reads the body of a 200. Pure: what is read is the same whenever it is read again.
 *
 * @returns the reply, or null when the body holds none: that is an error and never an empty plan
 */
export function readReply({ bodyText, resolvedModel }: RawReply): PlannerReply | null {
  const parsed = completionSchema.safeParse(jsonOrUndefined(bodyText));
  if (!parsed.success) return null;
  const { usage } = parsed.data;
  const [{ message, finish_reason: finishReason }] = parsed.data.choices;
  return {
    content: message.content ?? null,
    toolCalls: (message.tool_calls ?? []).map(readToolCall),
    finishReason,
    totalTokens: clampTokens(Math.max(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens)),
    promptTokens: usage.prompt_tokens,
    completionTokens: usage.completion_tokens,
    resolvedModel: resolvedModel !== null && MODEL_NAME.test(resolvedModel) ? resolvedModel : null,
  };
}

function readToolCall({ id, function: called }: z.infer<typeof toolCallSchema>): PlannerToolCall {
  const raw = called.arguments;
  const call = { id: id ?? '', name: called.name };
  // A tool without parameters is often called with an empty text or null; the tool's own schema decides from there.
  const value =
    raw === '' || raw === null || raw === undefined
      ? {}
      : typeof raw === 'string'
        ? jsonOrUndefined(raw)
        : raw;
  const args = argumentsSchema.safeParse(value);
  if (args.success) return { ...call, arguments: args.data };
  return {
    ...call,
    invalidArguments: true,
    rawArguments: typeof raw === 'string' ? raw : JSON.stringify(raw),
  };
}

export function jsonOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
