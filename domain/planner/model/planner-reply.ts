import { z } from 'zod';
import { CUT_MARK, cutAtWord } from '#domain/base/text/prompt-text.ts';
import { storableJson, storableText } from '#domain/base/json.ts';

const validCallSchema = z.object({
  /** As the gateway sent it; may be empty (docs/platform.md section 10). */
  id: z.string(),
  name: z.string(),
  arguments: z.record(z.string(), z.unknown()),
});

/** The arguments are no JSON object, or none of a size that may be carried out: the call must not be. */
const invalidCallSchema = z.object({
  id: z.string(),
  name: z.string(),
  invalidArguments: z.literal(true),
  rawArguments: z.string(),
});

const plannerToolCallSchema = z.union([validCallSchema, invalidCallSchema]);
export type PlannerToolCall = z.infer<typeof plannerToolCallSchema>;

const tokens = z.number().int().min(0);

/** What the model answered in one round. Also the shape in which a reply is kept, encrypted, between rounds. */
export const plannerReplySchema = z.object({
  /** Null and empty mean the same: no text. */
  content: z.string().nullable(),
  toolCalls: z.array(plannerToolCallSchema),
  /** A `FinishReason`; null when there was none that anybody knows. */
  finishReason: z.string().nullable(),
  /** 0 when the gateway did not say. */
  totalTokens: tokens,
  promptTokens: tokens,
  completionTokens: tokens,
  /** `provider/model` that served an alias (header `X-Mana-LLM-Resolved`). */
  resolvedModel: z.string().nullable(),
});
export type PlannerReply = z.infer<typeof plannerReplySchema>;

/** Words that were cut off: they are to be continued. */
export const isCutOff = (reply: PlannerReply): boolean =>
  reply.toolCalls.length === 0 && reply.finishReason === 'length';

const MAX_CONTENT_CHARS = 20_000;
const MAX_CALLS = 100;
const MAX_NAME_CHARS = 200;
const MAX_ARGUMENTS_CHARS = 20_000;
const MAX_DEPTH = 12;
const MAX_VALUES = 2_000;

/**
 * The reply within bounds: what goes beyond them would be kept, sent again in every round after it, and written into
 * the user's record. Arguments too large or nested too deeply become those of a call that cannot be carried out;
 * deep nesting also breaks whatever walks a value recursively, `JSON.stringify` included. What no database and no
 * provider takes (NUL, halves of characters) goes before anything is made of it.
 */
export const boundedReply = (reply: PlannerReply): PlannerReply => ({
  ...reply,
  content:
    reply.content === null ? null : storableText(cutAtWord(reply.content, MAX_CONTENT_CHARS, CUT_MARK)),
  toolCalls: reply.toolCalls.slice(0, MAX_CALLS).map(boundedCall),
});

const storableArguments = z.record(z.string(), z.unknown());

function boundedCall(call: PlannerToolCall): PlannerToolCall {
  const id = storableText(call.id.slice(0, MAX_NAME_CHARS));
  const name = storableText(call.name.slice(0, MAX_NAME_CHARS));
  if (!('arguments' in call))
    return {
      id,
      name,
      invalidArguments: true,
      rawArguments: call.rawArguments.slice(0, MAX_ARGUMENTS_CHARS),
    };
  return isBounded(call.arguments)
    ? { id, name, arguments: storableArguments.parse(storableJson(call.arguments)) }
    : { id, name, invalidArguments: true, rawArguments: '' };
}

/** Names that mean something else than a field to JavaScript; the device that carries out a step runs it. */
const RESERVED_NAMES: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

/** Looks level by level, because recursion could run out of stack here as well. */
function isBounded(args: Readonly<Record<string, unknown>>): boolean {
  let level: unknown[] = [args];
  let values = 0;
  for (let depth = 0; level.length > 0; depth += 1) {
    values += level.length;
    // Names of the outermost level are checked against the tool's schema.
    const isPlain = depth === 0 || level.every(isPlainValue);
    if (depth > MAX_DEPTH || values > MAX_VALUES || !isPlain) return false;
    level = level.flatMap((value): unknown[] =>
      typeof value === 'object' && value !== null ? Object.values(value) : [],
    );
  }
  return JSON.stringify(args).length <= MAX_ARGUMENTS_CHARS;
}

/** JSON can write numbers that JavaScript reads as Infinity, and would write back as null. */
function isPlainValue(value: unknown): boolean {
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return true;
  return !Object.keys(value).some((name) => RESERVED_NAMES.has(name));
}
