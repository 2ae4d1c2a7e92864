import { z } from 'zod';
import { decide, type AgentPolicy, type PolicyDecision } from '#domain/wire/agent.ts';
import { refusedAddressIn } from '#domain/base/text/refused-addresses.ts';
import catalog from './tool-catalog.json' with { type: 'json' };
import { TOOL_WORDINGS } from './tool-wording.ts';

const propertySchema = z.object({
  type: z.enum(['string', 'number', 'boolean', 'array', 'object']),
  description: z.string(),
  enum: z.array(z.string()).exactOptional(),
  items: z.record(z.string(), z.unknown()).exactOptional(),
});

type ToolProperty = z.infer<typeof propertySchema>;

const parametersSchema = z.object({
  type: z.literal('object'),
  properties: z.record(z.string(), propertySchema),
  required: z.array(z.string()),
});

const toolSchema = z.object({
  name: z.string().regex(/^[a-z][a-z0-9_]{0,63}$/),
  module: z.string().min(1),
  /** What holds for missions without an agent. */
  defaultPolicy: z.enum(['auto', 'propose']),
  description: z.string(),
  parameters: parametersSchema,
});

/** A tool that the web app carries out on the device; `parameters` is a JSON schema of one flat object. */
export type ToolDefinition = z.infer<typeof toolSchema>;

export const toolsByName = (tools: readonly ToolDefinition[]): ReadonlyMap<string, ToolDefinition> =>
  new Map(tools.map((tool) => [tool.name, tool]));

/** Every tool that a plan may ever name, by name; checked once, when this module is loaded. */
export const TOOL_CATALOG = toolsByName(z.object({ tools: z.array(toolSchema) }).parse(catalog).tools);

/** Those of the catalog, by name; a name that it does not have any more is left out. */
export const toolsNamed = (names: readonly string[]): ReadonlyMap<string, ToolDefinition> =>
  toolsByName(names.flatMap((name) => TOOL_CATALOG.get(name) ?? []));

/** What the policy says of a tool; without an agent its own default holds. */
export const decisionOn = (policy: AgentPolicy | null, tool: ToolDefinition): PolicyDecision =>
  policy === null ? tool.defaultPolicy : decide(policy, tool);

/** Tools that only look something up. */
export const isReadingTool = ({ name }: Pick<ToolDefinition, 'name'>): boolean =>
  /^(?:list|get)_/.test(name) || OTHER_READING_TOOLS.has(name);

const OTHER_READING_TOOLS: ReadonlySet<string> = new Set([
  'augur_year_recap',
  'consult_oracle',
  'discover_events',
  'nutrition_summary',
]);

export interface GatewayTool {
  type: 'function';
  function: { name: string; description: string; parameters: Record<string, unknown> };
}

/**
 * What lists hold that the catalog leaves open: strict providers refuse a request with one such list, whole
 * (docs/platform.md section 14). As the descriptions in the catalog say it.
 */
const LIST_ITEMS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  'create_invoice.lines': {
    type: 'object',
    properties: {
      title: { type: 'string' },
      quantity: { type: 'number' },
      unitPrice: { type: 'number' },
      vatRate: { type: 'number' },
      unit: { type: 'string' },
    },
    required: ['title', 'quantity', 'unitPrice'],
  },
  'import_articles_from_urls.urls': { type: 'string' },
};
/** Of a list that a later catalog leaves open: most are lists of names or ids. */
const OPEN_ITEMS = { type: 'string' };

/**
 * The shape in which the gateway takes a tool (docs/platform.md section 10), valid for strict providers: every list says what it
 * holds, and nothing is required of a tool that takes nothing. Worded as briefly as may be (`tool-wording.ts`). What the model
 * calls with is checked against the catalog all the same, and that is what the device gets.
 */
export function toGatewayTool({ name, description, parameters }: ToolDefinition): GatewayTool {
  const wording = TOOL_WORDINGS[name];
  const told = Object.entries(parameters.properties).filter(
    ([property]) => wording?.parameters?.[property] !== null,
  );
  return {
    type: 'function',
    function: {
      name,
      description: wording?.description ?? description,
      parameters: {
        type: parameters.type,
        properties: Object.fromEntries(
          told.map(([property, schema]) => [
            property,
            toldSchema(schema, wording?.parameters?.[property] ?? schema.description, `${name}.${property}`),
          ]),
        ),
        ...(parameters.required.length === 0 ? {} : { required: parameters.required }),
      },
    },
  };
}

const toldSchema = (schema: ToolProperty, description: string, path: string): Record<string, unknown> => ({
  ...Object.fromEntries(Object.entries(schema).filter(([keyword]) => keyword !== 'description')),
  ...(description === '' ? {} : { description }),
  ...(schema.type === 'array' && schema.items === undefined ? { items: LIST_ITEMS[path] ?? OPEN_ITEMS } : {}),
});

/** A tool as it is sent. */
export const toolText = (tool: ToolDefinition): string => JSON.stringify(toGatewayTool(tool));

/** Validated arguments, or what is wrong with them in words that the model can act upon (no values in them). */
export type CheckedArguments =
  | { readonly ok: true; readonly params: Record<string, unknown> }
  | { readonly ok: false; readonly problems: string };

/**
 * Checks a call's arguments against the tool's JSON schema: required, types, enum. An address that is a program or a
 * whole document (`javascript:`, `data:`) is refused wherever it stands in them.
 *
 * Properties that the schema does not name are dropped, because the device would carry out what the user cannot see
 * described. A null for an optional property is what many models send for "left out", and is taken as that.
 */
export function checkArguments(
  tool: ToolDefinition,
  args: Readonly<Record<string, unknown>>,
): CheckedArguments {
  const { properties, required } = tool.parameters;
  const known = Object.keys(properties).filter(
    (name) => Object.hasOwn(args, name) && (args[name] !== null || required.includes(name)),
  );
  const parsed = schemaOf(tool).safeParse(Object.fromEntries(known.map((name) => [name, args[name]])));
  if (parsed.success) {
    const params = z.record(z.string(), z.unknown()).parse(parsed.data);
    const refused = refusedAddressIn(params);
    return refused === null
      ? { ok: true, params }
      : { ok: false, problems: `${refused}: ${REFUSED_ADDRESS}` };
  }
  const problems = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  return { ok: false, problems: problems.join('; ') };
}

const REFUSED_ADDRESS =
  'addresses with javascript:, vbscript: or data: are not allowed; give an https: address, or put a blank behind the colon where it is no address';

/** Made once for each tool: that takes longer than checking. */
const schemas = new WeakMap<ToolDefinition['parameters'], z.ZodType>();

function schemaOf({ parameters }: ToolDefinition): z.ZodType {
  const schema = schemas.get(parameters) ?? z.fromJSONSchema(parameters);
  schemas.set(parameters, schema);
  return schema;
}
