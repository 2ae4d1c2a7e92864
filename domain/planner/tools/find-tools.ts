import type { PlannerReply } from '#domain/planner/model/planner-reply.ts';
import type { ToolDefinition } from './tool-catalog.ts';

/** A reading tool that is no tool of the app: it names and hands out those that a request does not hold. */
export const FIND_TOOLS = 'find_tools';

const modulesOf = (tools: readonly ToolDefinition[]): string[] => [
  ...new Set(tools.map(({ module }) => module)),
];

/**
 * @param tools what may be found
 */
export function findTool(tools: readonly ToolDefinition[]): ToolDefinition {
  const modules = modulesOf(tools);
  const list = modules.map((module) => {
    const names = tools.filter((tool) => tool.module === module).map(({ name }) => name);
    return `${module}: ${names.join(' ')}`;
  });
  return {
    name: FIND_TOOLS,
    module: 'tools',
    defaultPolicy: 'auto',
    description: `Hands out the other tools of one module, answered at once; call it before any of these. ${list.join('; ')}`,
    parameters: {
      type: 'object',
      properties: { module: { type: 'string', description: '', enum: modules } },
      required: ['module'],
    },
  };
}

/** What a module has for this run. An answer of our own: nothing of a record is in it. */
export function answerFind(
  params: Readonly<Record<string, unknown>>,
  callable: readonly ToolDefinition[],
): string {
  const found = foundBy(params, callable);
  if (found.length > 0) return `From now on you can call: ${found.map(({ name }) => name).join(', ')}`;
  return `error: no such module, or nothing in it that this run can use; modules: ${modulesOf(callable).join(', ')}`;
}

const foundBy = (
  { module }: Readonly<Record<string, unknown>>,
  callable: readonly ToolDefinition[],
): ToolDefinition[] => callable.filter((tool) => tool.module === module);

/**
 * Names of what rounds have found: by the finder, or by calling a tool that was not offered, which then has to be offered for
 * the next round to mend its arguments.
 */
export const foundIn = (
  replies: readonly Pick<PlannerReply, 'toolCalls'>[],
  callable: readonly ToolDefinition[],
): string[] =>
  replies
    .flatMap(({ toolCalls }) => toolCalls)
    .flatMap((call) => {
      if (call.name !== FIND_TOOLS) return callable.filter(({ name }) => name === call.name);
      return 'arguments' in call ? foundBy(call.arguments, callable) : [];
    })
    .map(({ name }) => name);
