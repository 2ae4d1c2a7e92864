import { SCORED, WEIGHTS, weightOf, type MissionScore, type Scored } from './score.ts';

/** How often a rule was kept, of how many missions that it says anything of. */
export interface RuleScore {
  readonly kept: number;
  readonly of: number;
}

export interface EvalReport {
  /** As the gateway names it. */
  readonly model: string;
  /** Kept rules of all rules by their weights, in per cent. */
  readonly score: number;
  readonly rules: Readonly<Record<Scored, RuleScore>>;
  readonly rounds: number;
  readonly tokens: number;
  readonly seconds: number;
  readonly missions: readonly (MissionScore & { readonly score: number })[];
}

const percent = (kept: number, of: number): number => (of === 0 ? 0 : Math.round((1_000 * kept) / of) / 10);

const sum = (figures: readonly number[]): number => figures.reduce((total, figure) => total + figure, 0);

export function reportOf(
  missions: readonly MissionScore[],
  run: { readonly model: string; readonly seconds: number },
): EvalReport {
  const rules = Object.fromEntries(
    SCORED.map((rule): [Scored, RuleScore] => {
      const kept = missions.filter((mission) => mission.kept.includes(rule)).length;
      const broken = missions.filter((mission) => mission.broken.some((each) => each.rule === rule)).length;
      return [rule, { kept, of: kept + broken }];
    }),
  ) as Record<Scored, RuleScore>;
  return {
    model: run.model,
    score: percent(
      sum(SCORED.map((rule) => rules[rule].kept * WEIGHTS[rule])),
      sum(SCORED.map((rule) => rules[rule].of * WEIGHTS[rule])),
    ),
    rules,
    rounds: sum(missions.map(({ rounds }) => rounds)),
    tokens: sum(missions.map(({ tokens }) => tokens)),
    seconds: run.seconds,
    missions: missions.map((mission) => ({
      ...mission,
      score: percent(
        weightOf(mission.kept),
        weightOf([...mission.kept, ...mission.broken.map(({ rule }) => rule)]),
      ),
    })),
  };
}

const MAX_WHY_CHARS = 90;

/** For a terminal: one line for each mission, with what it broke below, then one for each rule. */
export function tableOf({ missions, rules, ...report }: EvalReport): string {
  const widest = Math.max(...missions.map(({ id }) => id.length));
  const rows = missions.flatMap((mission) => [
    [
      ...[mission.id.padEnd(widest), mission.kind.padEnd(8), mission.status.padEnd(15)],
      `${mission.steps} steps`.padStart(8),
      `${mission.rounds} rounds`.padStart(9),
      `${mission.tokens} tokens`.padStart(13),
      `${mission.score.toFixed(0)} %`.padStart(6),
    ].join('  '),
    ...mission.broken.map(({ rule, why }) => `    ${rule}: ${cut(why)}`),
  ]);
  const byRule = SCORED.filter((rule) => rules[rule].of > 0).map((rule) => {
    const { kept, of } = rules[rule];
    return `${rule.padEnd(widest)}  ${`${kept} of ${of}`.padStart(8)}  ${percent(kept, of).toFixed(0).padStart(4)} %`;
  });
  const total = `${report.model}: ${report.score} % of what the rules ask; ${missions.length} missions, ${report.rounds} rounds, ${report.tokens} tokens, ${report.seconds} s`;
  return [...rows, '', ...byRule, '', total].join('\n');
}

const cut = (why: string): string => {
  const line = why.replace(/\s+/g, ' ');
  return line.length <= MAX_WHY_CHARS ? line : `${line.slice(0, MAX_WHY_CHARS)}…`;
};
