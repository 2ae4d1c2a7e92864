import type { AgentPolicy } from '#domain/wire/agent.ts';
import { tablesNeededBy } from './argument-meanings.ts';
import { findTool, foundIn } from './find-tools.ts';
import type { PlannerReply } from '#domain/planner/model/planner-reply.ts';
import type { ReadableRecord } from '#domain/run/run-inputs.ts';
import { estimateTokens } from '#domain/planner/model/token-estimate.ts';
import type { ToolRoom } from '#domain/planner/model/window.ts';
import { decisionOn, isReadingTool, TOOL_CATALOG, toolText, type ToolDefinition } from './tool-catalog.ts';
import { modulesInWords } from './tool-words.ts';

/** What a mission without an agent, and almost every other one, plans with. They come first, in this order. */
const CORE_TOOLS = ['create_task', 'create_event', 'create_note'] as const;

/**
 * The tools whose calls become planned steps: decision `propose` (docs/platform.md section 12), and whatever ids they require can
 * be of a record that the run reads.
 *
 * `deny` hides a tool. `auto` would mean that the call takes effect without the user, and here is no device that could
 * do so: of those only `readToolsFor` are offered, which the server answers from the run's own records. Any other would
 * only lead the model to wait for data that never comes, or to invent it. A tool that only looks something up is never a
 * step, whatever the policy says: what the device found would reach no run.
 *
 * @param policy the agent's policy, or null for a mission without an agent: then each tool's own default holds
 */
export function callableTools(
  policy: AgentPolicy | null,
  records: readonly Pick<ReadableRecord, 'table'>[],
): ToolDefinition[] {
  const tables = new Set(records.map(({ table }) => table));
  return proposedTools(policy).filter((tool) =>
    tablesNeededBy(tool).every((table) => table !== null && tables.has(table)),
  );
}

/** Whatever the records. */
export const proposedTools = (policy: AgentPolicy | null): ToolDefinition[] =>
  [...TOOL_CATALOG.values()].filter((tool) => decisionOn(policy, tool) === 'propose' && !isReadingTool(tool));

/** With so few there is nothing to find: all of them are offered. */
const FEW_TOOLS = 8;

export interface ToolChoice {
  /** Everything whose calls become steps, offered or not: what a model knows by name it may call. */
  readonly callable: readonly ToolDefinition[];
  /** What the request holds, in an order that the rounds of a run extend. */
  readonly offered: readonly ToolDefinition[];
}

export interface ToolCircumstances {
  readonly policy: AgentPolicy | null;
  /** What the run reads. */
  readonly records: readonly Pick<ReadableRecord, 'table'>[];
  /** The user's own: of the mission and of the agent's persona, never of records. */
  readonly words: readonly (string | null)[];
  /** See `readToolsFor`. */
  readonly reads: readonly ToolDefinition[];
  /** Of the rounds so far: what they found is offered from then on, as long as the policy of now has it. */
  readonly earlier: readonly Pick<PlannerReply, 'toolCalls'>[];
  readonly room: ToolRoom;
}

/**
 * Chooses the tools of a round: the core, then what the mission makes likely, then what reads, then what was found.
 *
 * The core and `find_tools` come first and are the same for all missions of a policy, so that a provider's cache serves them
 * all; within a run the list only grows at its end. In a small window that would come to be too much: then what was found
 * first goes again.
 */
export function chooseTools(circumstances: ToolCircumstances): ToolChoice {
  const { policy, records, reads, earlier, room } = circumstances;
  const callable = callableTools(policy, records);
  if (callable.length <= FEW_TOOLS && toolsTokens(callable) <= room.likely + room.found)
    return { callable, offered: [...callable, ...reads] };
  const byName = new Map(callable.map((tool) => [tool.name, tool]));
  const core = CORE_TOOLS.flatMap((name) => byName.get(name) ?? []);
  // Not what this run's records add: the list of what can be found is the same for all missions of a policy.
  const finder = findTool(callableTools(policy, []).filter(({ name }) => !isCore(name)));
  const likely = likelyTools(circumstances, callable);
  const first = [...core, finder, ...likely, ...reads];
  const isFirst = new Set(first.map(({ name }) => name));
  const found = foundIn(earlier, callable).filter((name) => !isFirst.has(name));
  const newest = new Set(found.toReversed());
  const kept = fitting(
    [...newest].flatMap((name) => byName.get(name) ?? []),
    Math.min(room.found, room.all - toolsTokens(first)),
  );
  const later = [...new Set(found)].flatMap((name) => kept.filter((tool) => tool.name === name));
  return { callable, offered: [...first, ...later] };
}

/** As sent. */
export const toolsTokens = (tools: readonly ToolDefinition[]): number =>
  tools.reduce((sum, tool) => sum + estimateTokens(toolText(tool)), 0);

/** Those that fit, the first ones first. */
function fitting(tools: readonly ToolDefinition[], tokens: number): ToolDefinition[] {
  let left = tokens;
  return tools.filter((tool) => {
    const needed = toolsTokens([tool]);
    if (needed > left) return false;
    left -= needed;
    return true;
  });
}

const isCore = (name: string): boolean => CORE_TOOLS.some((core) => core === name);

/** Those that work on the run's records, then those that the policy names, then those of modules that the words name. */
function likelyTools(
  { policy, words, room }: ToolCircumstances,
  callable: readonly ToolDefinition[],
): ToolDefinition[] {
  const modules = modulesInWords(words);
  const isNamed = ({ name }: ToolDefinition): boolean =>
    policy !== null && policy.defaultForAi !== 'propose' && Object.hasOwn(policy.tools, name);
  const rank = (tool: ToolDefinition): number => {
    if (tablesNeededBy(tool).length > 0) return 0;
    if (isNamed(tool)) return 1;
    const place = modules.indexOf(tool.module);
    return place < 0 ? Infinity : 2 + place;
  };
  const chosen = fitting(
    callable
      .filter((tool) => !isCore(tool.name) && rank(tool) !== Infinity)
      .toSorted((a, b) => rank(a) - rank(b)),
    room.likely,
  );
  return callable.filter((tool) => chosen.includes(tool));
}
