import type { EvalMission } from './mission.ts';
import type { Outcome } from './outcome.ts';
import { inWords, keeps } from './rules.ts';
import { problemsOf, type ArgumentFacts } from '#domain/planner/tools/argument-checks.ts';
import { meaningOf, type Meaning } from '#domain/planner/tools/argument-meanings.ts';
import { INPUT_MODULES } from '#domain/wire/input-modules.ts';
import { languageSigns } from '#domain/base/language.ts';
import type { PlannerToolCall } from '#domain/planner/model/planner-reply.ts';
import { stepIdentity } from '#domain/wire/iteration.ts';
import { checkArguments, isReadingTool, TOOL_CATALOG } from '#domain/planner/tools/tool-catalog.ts';

/** What is scored, each as kept or not kept; a rule that says nothing of a mission is left out of its score. */
export const SCORED = [
  /** The run ended with a plan, or with a reason for none. */
  'outcome',
  /** The plan is one that the mission asks for (`EvalMission.expects`). */
  'plan',
  'feedback',
  /** Of the model's calls, those that were refused included, and of the plan. */
  'ids',
  'dates',
  /** Texts, numbers, choices and what is required. */
  'values',
  /** No tool that does not exist, none that is forbidden, and none that only reads as a step. */
  'tools',
  /** No call twice, none that repeats a step of an earlier run. */
  'duplicates',
  'language',
  'rounds',
  'tokens',
] as const;
export type Scored = (typeof SCORED)[number];

/** A model that does nothing does nothing wrong: what was asked for has to count for more. */
export const WEIGHTS: Readonly<Record<Scored, number>> = {
  ...{ outcome: 1, plan: 4, feedback: 2, ids: 1, dates: 1, values: 1 },
  ...{ tools: 1, duplicates: 1, language: 1, rounds: 1, tokens: 1 },
};

export const weightOf = (rules: readonly Scored[]): number =>
  rules.reduce((sum, rule) => sum + WEIGHTS[rule], 0);

/** A whole run of the thirty needs two rounds or less for most of them, and reads nothing that takes more than this. */
const MAX_ROUNDS = 3;
const MAX_TOKENS = 20_000;
/** As the grants of the missions say. */
export const TIME_ZONE = 'Europe/Berlin';

export interface MissionScore {
  readonly id: string;
  readonly kind: EvalMission['kind'];
  readonly language: EvalMission['language'];
  readonly status: string;
  readonly steps: number;
  readonly rounds: number;
  readonly tokens: number;
  /** What holds of it, and what is wrong where it does not. */
  readonly kept: readonly Scored[];
  readonly broken: readonly { readonly rule: Scored; readonly why: string }[];
}

/** @param nowMs when the missions ran: due dates are held against it */
export function scoreOf(outcome: Outcome, nowMs: number): MissionScore {
  const { mission, plan, rounds, tokens } = outcome;
  const findings = new Map<Scored, string | null>(
    Object.entries(whatIsWrong(outcome, nowMs)).map(([rule, why]) => [rule as Scored, why]),
  );
  const rules = SCORED.filter((rule) => findings.has(rule));
  return {
    ...{ id: mission.id, kind: mission.kind, language: mission.language, rounds, tokens },
    status: plan?.status ?? 'no end',
    steps: plan?.steps.length ?? 0,
    kept: rules.filter((rule) => findings.get(rule) === null),
    broken: rules.flatMap((rule) => {
      const why = findings.get(rule) ?? null;
      return why === null ? [] : [{ rule, why }];
    }),
  };
}

/**
 * By rule: what is wrong, or null. Rules of calls say nothing of a model that made none, and few rounds and tokens are no
 * merit of a plan that is not what was asked for.
 */
function whatIsWrong(outcome: Outcome, nowMs: number): Partial<Record<Scored, string | null>> {
  const { mission, plan, rounds, tokens } = outcome;
  const hasCalls = callsOf(outcome).length > 0 || (plan?.steps ?? []).length > 0;
  const failed = plan === null ? 'no end' : (plan.failure ?? (plan.status === 'failed' ? 'failed' : null));
  const broken = (rules: EvalMission['expects']): string | null =>
    failed ?? firstOf(rules.filter((rule) => !keeps(rule, plan?.steps ?? [])).map(inWords));
  const asked = broken(mission.expects);
  const cost = (
    rule: 'rounds' | 'tokens',
    spent: number,
    most: number,
  ): Partial<Record<Scored, string | null>> => {
    if (spent > most) return { [rule]: `${spent} ${rule}, at most ${most}` };
    return asked === null ? { [rule]: null } : {};
  };
  return {
    outcome: failed,
    plan: asked,
    ...(mission.feedback.length === 0 ? {} : { feedback: broken(mission.feedback) }),
    ...(hasCalls
      ? {
          ...argumentFindings(outcome, nowMs),
          tools: firstOf(toolsOf(outcome)),
          duplicates: firstOf(duplicatesOf(outcome)),
        }
      : {}),
    language: languageOf(outcome),
    ...cost('rounds', rounds, MAX_ROUNDS),
    ...cost('tokens', tokens, MAX_TOKENS),
  };
}

const firstOf = (problems: readonly string[]): string | null => {
  const [first, ...more] = problems;
  return first === undefined ? null : more.length === 0 ? first : `${first}; and ${more.length} more`;
};

type Finding = { readonly rule: 'ids' | 'dates' | 'values'; readonly why: string };

function argumentFindings(outcome: Outcome, nowMs: number): Record<Finding['rule'], string | null> {
  const facts = factsOf(outcome.mission, nowMs);
  const steps = (outcome.plan?.steps ?? []).map((step) => ({ ...step, where: ' in the plan' }));
  const found = [
    ...callsOf(outcome).flatMap((call) => findingsOfCall(call, facts)),
    ...steps.flatMap(({ toolName, params, where }) => findingsOf(toolName, params, facts, where)),
  ];
  const of = (rule: Finding['rule']): string | null =>
    firstOf(found.filter((finding) => finding.rule === rule).map(({ why }) => why));
  return { ids: of('ids'), dates: of('dates'), values: of('values') };
}

const callsOf = ({ exchanges }: Outcome): PlannerToolCall[] =>
  exchanges.flatMap(({ reply }) => reply.toolCalls);

function findingsOfCall(call: PlannerToolCall, facts: ArgumentFacts): Finding[] {
  if ('arguments' in call) return findingsOf(call.name, call.arguments, facts, '');
  return [{ rule: 'values', why: `${call.name}: arguments that are no JSON` }];
}

function findingsOf(
  toolName: string,
  params: Readonly<Record<string, unknown>>,
  facts: ArgumentFacts,
  where: string,
): Finding[] {
  const tool = TOOL_CATALOG.get(toolName);
  if (tool === undefined) return [];
  const typed = checkArguments(tool, params);
  if (!typed.ok) return [{ rule: 'values', why: `${toolName}: ${typed.problems}${where}` }];
  if (isReadingTool(tool)) return [];
  return problemsOf(tool, typed.params, facts).map(({ name, meaning, words }) => ({
    rule: ruleOf(meaning),
    why: `${toolName}${name === null ? '' : `.${name}`}: ${words}${where}`,
  }));
}

function ruleOf(meaning: Meaning['kind']): Finding['rule'] {
  if (meaning === 'record') return 'ids';
  const isTime = meaning === 'day' || meaning === 'time' || meaning === 'day-or-time' || meaning === 'month';
  return isTime ? 'dates' : 'values';
}

/** Ids are unguessable, so one that is right was read. */
const factsOf = (mission: EvalMission, nowMs: number): ArgumentFacts => ({
  records: mission.records.map(({ module, id }) => ({
    ...{ module, id, table: INPUT_MODULES[module]?.table ?? module },
  })),
  isShown: () => true,
  nowMs,
  timeZone: TIME_ZONE,
});

function toolsOf({ mission, exchanges, plan }: Outcome): string[] {
  const wrong = (name: string, offered: readonly string[]): string[] => {
    if (mission.forbidden.includes(name)) return [`${name} is forbidden`];
    return TOOL_CATALOG.has(name) || offered.includes(name) ? [] : [`${name} does not exist`];
  };
  const called = exchanges.flatMap(({ offered, reply }) =>
    reply.toolCalls.flatMap(({ name }) => wrong(name, offered)),
  );
  const steps = (plan?.steps ?? []).flatMap(({ toolName }) => {
    const tool = TOOL_CATALOG.get(toolName);
    return tool === undefined || isReadingTool(tool) ? [`${toolName} in the plan`] : wrong(toolName, []);
  });
  return [...called, ...steps];
}

/** Also between rounds: a call that was answered once says nothing new. */
function duplicatesOf(outcome: Outcome): string[] {
  const known = new Set(
    outcome.mission.earlier.flatMap(({ steps }) =>
      steps.map((step) => stepIdentity(step.toolName, step.params)),
    ),
  );
  return callsOf(outcome).flatMap((call) => {
    const tool = TOOL_CATALOG.get(call.name);
    if (tool === undefined || isReadingTool(tool) || !('arguments' in call)) return [];
    const identity = stepIdentity(call.name, call.arguments);
    const isKnown = known.has(identity);
    known.add(identity);
    return isKnown ? [`${call.name} again`] : [];
  });
}

/** A word or two of another language may be a name. */
const MIN_SIGNS = 2;

/** Of the model's own words: what it said, and the texts of its calls. */
function languageOf(outcome: Outcome): string | null {
  const { mission, exchanges } = outcome;
  const other = mission.language === 'de' ? 'en' : 'de';
  const words = exchanges.flatMap(({ reply }) => [
    reply.content ?? '',
    ...reply.toolCalls.flatMap(textsOfCall),
  ]);
  const signs = languageSigns(withoutNames(words.join('\n')));
  const isOther = signs[other] >= MIN_SIGNS && signs[other] > signs[mission.language];
  return isOther ? `words of "${other}" in a mission of "${mission.language}"` : null;
}

/** An umlaut may be one of a name, in any language; common words are in one only. */
const withoutNames = (text: string): string =>
  text
    .split(/[^\p{L}]+/u)
    .filter((word) => !/[äöüß]/i.test(word))
    .join(' ');

function textsOfCall(call: PlannerToolCall): string[] {
  const tool = TOOL_CATALOG.get(call.name);
  if (tool === undefined || !('arguments' in call)) return [];
  return Object.entries(call.arguments).flatMap(([name, value]) =>
    name in tool.parameters.properties && meaningOf(tool, name).kind === 'text' && typeof value === 'string'
      ? [value]
      : [],
  );
}
