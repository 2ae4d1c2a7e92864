import type { ChatMessage } from '#domain/planner/plan/conversation.ts';
import type { GatewayTool } from '#domain/planner/tools/tool-catalog.ts';
import { sharedPrefixTokens, tokensIn, tokensOfMessage, tokensOfTools } from './count.ts';
import { otherGerman, plainEnglish, plainGerman, proposeAll, typical, type Scenario } from './scenarios.ts';
import { simulateRun, typicalModel, type SimulatedRound } from './simulate.ts';

export interface RequestTokens {
  readonly name: string;
  readonly toolCount: number;
  readonly tools: number;
  readonly system: number;
  /** The user message of the first round, and what the rounds added to it. */
  readonly user: number;
  readonly rounds: number;
  readonly total: number;
}

export interface PrefixTokens {
  readonly order: 'tools first' | 'system first';
  readonly shared: number;
  /** Tools and system message of one of the two. */
  readonly fixed: number;
}

export interface TokenReport {
  /** First rounds. */
  readonly first: readonly RequestTokens[];
  /** Every round of a typical run, and their sum. */
  readonly run: readonly RequestTokens[];
  readonly runTotal: number;
  /** Of two plain missions of two users. */
  readonly prefix: readonly PrefixTokens[];
  /** Of each further round: tokens that it begins with like the round before, and those of that round. */
  readonly extended: readonly (readonly [shared: number, before: number])[];
}

export function tokenReport(): TokenReport {
  const rounds = simulateRun(typical, typicalModel);
  const run = rounds.map((round, index) => requestTokens(`typical (de), round ${index + 1}`, round));
  return {
    first: [plainGerman, plainEnglish, proposeAll, typical].map((scenario) =>
      requestTokens(scenario.name, firstRound(scenario)),
    ),
    run,
    runTotal: run.reduce((sum, { total }) => sum + total, 0),
    prefix: prefixTokens(firstRound(plainGerman), firstRound(otherGerman)),
    extended: rounds.slice(1).map((round, index) => extendedTokens(rounds[index] ?? round, round)),
  };
}

function firstRound(scenario: Scenario): SimulatedRound {
  const [round] = simulateRun(scenario, typicalModel);
  if (round === undefined) throw new Error('a run has a first round');
  return round;
}

function requestTokens(name: string, { messages, tools }: SimulatedRound): RequestTokens {
  const [system = 0, user = 0, ...rounds] = messages.map(tokensOfMessage);
  const parts = {
    ...{ tools: tokensOfTools(tools), system, user },
    rounds: rounds.reduce((sum, tokens) => sum + tokens, 0),
  };
  const total = parts.tools + parts.system + parts.user + parts.rounds;
  return { name, toolCount: tools.length, ...parts, total };
}

function prefixTokens(a: SimulatedRound, b: SimulatedRound): PrefixTokens[] {
  const { tools, system } = requestTokens('', a);
  const fixed = tools + system;
  const texts = ({ messages, tools: sent }: SimulatedRound) => {
    const [first, ...others] = messages;
    return { tools: toolsText(sent), system: messagesText([first]), user: messagesText(others) };
  };
  const [textsOfA, textsOfB] = [texts(a), texts(b)];
  const shared = (order: readonly (keyof typeof textsOfA)[]): number =>
    sharedPrefixTokens(
      order.map((part) => textsOfA[part]).join('\n'),
      order.map((part) => textsOfB[part]).join('\n'),
    );
  return [
    { order: 'tools first', shared: shared(['tools', 'system', 'user']), fixed },
    { order: 'system first', shared: shared(['system', 'tools', 'user']), fixed },
  ];
}

function extendedTokens(before: SimulatedRound, after: SimulatedRound): readonly [number, number] {
  // Without the bracket that ends a list: the next round goes on there.
  const text = ({ tools, messages }: SimulatedRound): string =>
    `${toolsText(tools)}${JSON.stringify(messages).slice(0, -1)}`;
  return [sharedPrefixTokens(text(before), text(after)), tokensIn(text(before))];
}

const toolsText = (tools: readonly GatewayTool[]): string => JSON.stringify(tools);
const messagesText = (messages: readonly (ChatMessage | undefined)[]): string =>
  messages.map((message) => message?.content ?? '').join('\n');

/** Markdown for docs/performance.md. */
export function tokenTables({ first, run, runTotal, prefix }: TokenReport): string {
  const rows = [...first, ...run].map((row) =>
    cells([row.name, row.toolCount, row.tools, row.system, row.user, row.rounds, row.total]),
  );
  return [
    cells(['request', 'tools offered', 'tools', 'system', 'user', 'later rounds', 'total']),
    cells(Array.from({ length: 7 }, () => '---')),
    ...rows,
    '',
    `Whole typical run: ${runTotal} prompt tokens in ${run.length} rounds.`,
    '',
    cells(['two missions of one language', 'shared prefix', 'fixed part', 'share']),
    cells(Array.from({ length: 4 }, () => '---')),
    ...prefix.map(({ order, shared, fixed }) =>
      cells([order, shared, fixed, `${Math.round((shared / fixed) * 100)} %`]),
    ),
  ].join('\n');
}

const cells = (values: readonly (string | number)[]): string => `| ${values.join(' | ')} |`;
