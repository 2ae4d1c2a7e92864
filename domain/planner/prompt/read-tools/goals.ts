import { numberOf, text, textParam, type Reader } from './reader.ts';
import type { ReadableRecord } from '#domain/run/run-inputs.ts';

/** `list_goals`: the contract names no status, so a goal without one counts as active. */
export const answerAboutGoals: Reader = ({ records, params }) => {
  const filter = textParam(params['filter']) ?? 'active';
  const found = records.filter((goal) => filter === 'all' || (text(goal, 'status') ?? 'active') === filter);
  return { facts: { filter, found: found.length }, entries: found.map(goalOf) };
};

/** `get_goal_progress` */
export const answerAboutGoal: Reader = ({ records, params }) => {
  const goal = records.find(({ id }) => id === params['goalId']);
  if (goal === undefined)
    return 'error: no such goal among the records of this mission; list_goals names them';
  return { facts: { goal: goalOf(goal) } };
};

function goalOf(record: ReadableRecord) {
  const current = numberOf(record.fields['currentValue']);
  const { value, period } = targetOf(record);
  return {
    id: record.id,
    title: text(record, 'title'),
    status: text(record, 'status'),
    currentValue: current,
    targetValue: value,
    period,
    percent:
      current === undefined || value === undefined || value === 0
        ? undefined
        : Math.round((100 * current) / value),
  };
}

function targetOf({ fields }: ReadableRecord): { value: number | undefined; period: string | undefined } {
  const target = fields['target'];
  if (typeof target !== 'object' || target === null) return { value: undefined, period: undefined };
  const { value, period } = target as { value?: unknown; period?: unknown };
  return { value: numberOf(value), period: typeof period === 'string' ? period.slice(0, 40) : undefined };
}
