import type { EvalStep, Rule } from './mission.ts';

/** Whether a plan keeps a rule. */
export function keeps(rule: Rule, steps: readonly EvalStep[]): boolean {
  switch (rule.kind) {
    case 'steps':
      return steps.length >= rule.from && steps.length <= rule.to;
    case 'uses':
      return steps.some(({ toolName }) => rule.tools.includes(toolName));
    case 'only':
      return steps.every(({ toolName }) => rule.tools.includes(toolName));
    case 'never':
      return !steps.some(({ toolName }) => rule.tools.includes(toolName));
    case 'says':
      return steps.some((step) => saysOneOf(step, rule.texts));
    case 'never-says':
      return !steps.some((step) => saysOneOf(step, rule.texts));
    case 'always':
      return steps
        .filter(({ toolName }) => toolName === rule.tool)
        .every(({ params }) =>
          rule.value === undefined ? rule.param in params : params[rule.param] === rule.value,
        );
    case 'records': {
      const named = steps.flatMap(({ params }) => (rule.param in params ? [String(params[rule.param])] : []));
      return new Set(named).size === rule.ids.length && rule.ids.every((id) => named.includes(id));
    }
    case 'weekday':
      return steps
        .filter(({ toolName }) => toolName === rule.tool)
        .every(({ params }) => weekdayOf(params[rule.param]) === rule.day);
  }
}

/** For people. */
export function inWords(rule: Rule): string {
  switch (rule.kind) {
    case 'steps':
      return rule.to === 0 ? 'no step' : `${rule.from} to ${rule.to} steps`;
    case 'uses':
    case 'only':
    case 'never':
      return `${rule.kind} ${rule.tools.join(', ')}`;
    case 'says':
    case 'never-says':
      return `${rule.kind} ${rule.texts.join(' or ')}`;
    case 'always':
      return `${rule.tool} always with ${rule.param}${rule.value === undefined ? '' : ` ${JSON.stringify(rule.value)}`}`;
    case 'records':
      return `${rule.param} of ${rule.ids.length} right records only`;
    case 'weekday':
      return `${rule.param} on weekday ${rule.day}`;
  }
}

const saysOneOf = ({ params }: EvalStep, texts: readonly string[]): boolean => {
  const said = textsIn(params).join('\n').toLowerCase();
  return texts.some((text) => said.includes(text));
};

/** Every text in a value. */
function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : [];
}

const weekdayOf = (time: unknown): number =>
  new Date(`${typeof time === 'string' ? time.slice(0, 10) : ''}T00:00:00Z`).getUTCDay();
