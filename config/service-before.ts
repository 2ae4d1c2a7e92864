import type { ProcessRole } from './zones.ts';

/**
 * A variable of the service that did this job before (docs/platform.md section 13) that is called otherwise now, means something else, or
 * has nothing left to say. Those that are read as they were stand in config/settings.ts.
 */
interface OldVariable {
  readonly name: string;
  /** The variable that takes its value. */
  readonly becomes?: string;
  /** Values that mean something else today; a value that is not listed is read as it stands. */
  readonly values?: Readonly<Record<string, string>>;
  /** Values with which these processes must not start. */
  readonly refused?: { readonly values: readonly string[]; readonly roles: readonly ProcessRole[] };
  /** What replaces it; completes the sentence "… is a variable of the service before: ". */
  readonly instead: string;
}

/** In the order of docs/upgrade-from-before.md, which has the same table for operators. */
export const OLD_VARIABLES: readonly OldVariable[] = [
  {
    name: 'DATABASE_URL',
    instead: 'not read; SYNC_DATABASE_URL is, with a user of this process alone',
  },
  {
    name: 'MANA_AI_DEEP_RESEARCH_ENABLED',
    becomes: 'DEEP_RESEARCH_ENABLED',
    instead: 'read as DEEP_RESEARCH_ENABLED',
  },
  {
    name: 'MANA_AI_COMPACT_MAX_CTX',
    becomes: 'MANA_LLM_CONTEXT_TOKENS',
    instead: 'read as MANA_LLM_CONTEXT_TOKENS',
  },
  {
    name: 'POLICY_MODE',
    values: { 'log-only': 'flag', off: 'flag' },
    instead:
      'this value is read as flag, the least there is: flagged steps are written, and no device runs them',
  },
  {
    name: 'TICK_ENABLED',
    refused: { values: ['false', '0'], roles: ['runner', 'projection', 'all'] },
    instead: 'not read; missions run where runner and projection are started, and nowhere else',
  },
  {
    name: 'TICK_INTERVAL_MS',
    instead: 'not read; schedules start missions when they are due',
  },
];

export interface ReadOldVariables {
  /** One line for each that is set, without its value. */
  readonly notices: readonly string[];
  /** By the name of the variable that must not be set like this. */
  readonly problems: ReadonlyMap<string, string>;
  /** New names by the old ones from which they got their values. */
  readonly renamed: ReadonlyMap<string, string>;
}

/**
 * Puts the values of old variables where new ones are read.
 *
 * @param values the variables that are set; changed in place
 */
export function readOldVariables(role: ProcessRole, values: Map<string, string>): ReadOldVariables {
  const notices: string[] = [];
  const problems = new Map<string, string>();
  const renamed = new Map<string, string>();
  for (const old of OLD_VARIABLES) {
    const value = values.get(old.name);
    if (value === undefined || (old.values !== undefined && !Object.hasOwn(old.values, value))) continue;
    if (old.refused?.values.includes(value) === true && old.refused.roles.includes(role)) {
      problems.set(
        old.name,
        'says that no missions run here, and this process is what runs them: start it not, or take the variable away',
      );
      continue;
    }
    const today = old.values?.[value];
    if (today !== undefined) values.set(old.name, today);
    if (old.becomes !== undefined) {
      if ((values.get(old.becomes) ?? value) !== value) {
        problems.set(
          old.name,
          `says something else than ${old.becomes}, which replaces it: take one of them away`,
        );
        continue;
      }
      values.set(old.becomes, value);
      renamed.set(old.becomes, old.name);
    }
    notices.push(`${old.name} is a variable of the service before: ${old.instead}`);
  }
  return { notices, problems, renamed };
}
