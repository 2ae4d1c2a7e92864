import { z } from 'zod';

/**
 * What the strictest providers refuse, each for itself: OpenAI, Gemini, Mistral, Anthropic. Whatever is sent has to pass
 * all of it, because an alias may be served by any of them, and by another one in the next round.
 */

const TYPES = ['string', 'number', 'integer', 'boolean', 'array', 'object'];
const KEYWORDS = ['type', 'description', 'enum', 'items', 'properties', 'required'];

const toolSchema = z.strictObject({
  type: z.literal('function'),
  function: z.strictObject({
    name: z.string().regex(/^[A-Za-z_][\w-]{0,63}$/),
    description: z.string().min(1).max(1_024),
    parameters: z.looseObject({ type: z.literal('object'), properties: z.record(z.string(), z.unknown()) }),
  }),
});

/** In words; empty for a tool that all of them take. */
export function strictToolProblems(tool: unknown): string[] {
  const parsed = toolSchema.safeParse(tool);
  if (!parsed.success) return [parsed.error.message];
  const { name, parameters } = parsed.data.function;
  return schemaProblems(parameters, name);
}

function schemaProblems(schema: unknown, path: string): string[] {
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) return [`${path}: no schema`];
  const fields = schema as Readonly<Record<string, unknown>>;
  const { type, enum: values, items, properties, required } = fields;
  const problems = Object.keys(fields)
    .filter((keyword) => !KEYWORDS.includes(keyword))
    .map((keyword) => `${path}: keyword ${keyword}`);
  if (typeof type !== 'string' || !TYPES.includes(type)) problems.push(`${path}: no single type`);
  if ((type === 'array') !== (items !== undefined)) problems.push(`${path}: items of ${String(type)}`);
  if (items !== undefined) problems.push(...schemaProblems(items, `${path}[]`));
  if (values !== undefined && !isListOfTexts(values)) problems.push(`${path}: enum`);
  if (values !== undefined && type !== 'string') problems.push(`${path}: enum of ${String(type)}`);
  const inner = (properties ?? {}) as Readonly<Record<string, unknown>>;
  if (properties !== undefined && type !== 'object') problems.push(`${path}: properties of ${String(type)}`);
  for (const [name, property] of Object.entries(inner))
    problems.push(...schemaProblems(property, `${path}.${name}`));
  if (required !== undefined) {
    const isKnown = isListOfTexts(required) && required.every((name) => Object.hasOwn(inner, name));
    if (!isKnown) problems.push(`${path}: required`);
  }
  return problems;
}

const isListOfTexts = (value: unknown): value is string[] =>
  Array.isArray(value) &&
  value.length > 0 &&
  new Set(value).size === value.length &&
  value.every((item) => typeof item === 'string' && item !== '');

const messageSchema = z.discriminatedUnion('role', [
  z.strictObject({ role: z.enum(['system', 'user']), content: z.string().min(1) }),
  z.strictObject({
    role: z.literal('assistant'),
    content: z.string().min(1).nullable(),
    tool_calls: z
      .array(
        z.strictObject({
          id: z.string().regex(/^[A-Za-z0-9]{9}$/),
          type: z.literal('function'),
          function: z.strictObject({
            name: z.string().regex(/^[\w-]{1,64}$/),
            arguments: z.string().refine((text) => isJsonObject(text), 'arguments are no object'),
          }),
        }),
      )
      .min(1)
      .max(128)
      .optional(),
  }),
  z.strictObject({ role: z.literal('tool'), tool_call_id: z.string(), content: z.string().min(1) }),
]);
const requestSchema = z.looseObject({
  messages: z.array(messageSchema).min(2),
  tools: z.array(z.unknown()).min(1).max(128).optional(),
});

const isJsonObject = (text: string): boolean => {
  const value: unknown = JSON.parse(text);
  return typeof value === 'object' && value !== null && !Array.isArray(value);
};

/** In words; empty for a request that all of them take. */
export function strictRequestProblems(bodyText: string): string[] {
  // A lone surrogate or a NUL, also inside of arguments.
  const problems = /\\u0000|\\ud[89a-f]/i.test(bodyText) ? ['text that is no text'] : [];
  const parsed = requestSchema.safeParse(JSON.parse(bodyText));
  if (!parsed.success) return [...problems, parsed.error.message];
  const { messages, tools = [] } = parsed.data;
  return [...problems, ...tools.flatMap(strictToolProblems), ...orderProblems(messages)];
}

/** Calls are answered once each, at once and under ids of their own; user and assistant take turns. */
function orderProblems(messages: readonly z.infer<typeof messageSchema>[]): string[] {
  const problems: string[] = [];
  const ids = new Set<string>();
  let open: string[] = [];
  let last = '';
  for (const message of messages) {
    if (message.role === 'tool') {
      if (!open.includes(message.tool_call_id)) problems.push(`answer to no call: ${message.tool_call_id}`);
      open = open.filter((id) => id !== message.tool_call_id);
    } else {
      if (open.length > 0) problems.push(`calls without answers: ${open.join()}`);
      if (message.role === last) problems.push(`two messages of ${last} in a row`);
      open = [];
    }
    if (message.role === 'assistant') {
      if (message.content === null && message.tool_calls === undefined) problems.push('an empty message');
      for (const { id } of message.tool_calls ?? []) {
        if (ids.has(id)) problems.push(`two calls ${id}`);
        ids.add(id);
        open.push(id);
      }
    }
    last = message.role;
  }
  if (last === 'assistant') problems.push('the model spoke last');
  return problems;
}
