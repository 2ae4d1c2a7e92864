import { ConfigurationError, loadConfig, type Config } from '#config.ts';
import { SECRETS } from '#config/settings.ts';
import { foreignVariables, PROCESS_ROLES, type ProcessRole } from '#config/zones.ts';
import { fault, ok, unchecked, warning, type Judgement } from '../finding.ts';

export type Env = Readonly<Record<string, string | undefined>>;

/** A process as this environment would start it. */
export interface JudgedProcess {
  readonly role: ProcessRole;
  /** Null: it would not start, or nothing of it is here. */
  readonly config: Config | null;
  readonly judgements: readonly Judgement[];
}

const OWN_DATABASE: Readonly<Record<Exclude<ProcessRole, 'all'>, string>> = {
  api: 'SYNC_DATABASE_URL_API',
  vault: 'SYNC_DATABASE_URL_VAULT',
  runner: 'SYNC_DATABASE_URL_RUNNER',
  projection: 'SYNC_DATABASE_URL_PROJECTION',
};
const isSet = (env: Env, name: string): boolean => Boolean(env[name]) || Boolean(env[`${name}_FILE`]);

/**
 * Reads the configuration of each process as it does itself.
 *
 * @param asked as one of these processes would start in this environment, foreign secrets refused. Empty: an operator's
 *   environment, which may hold what several processes are given; each is judged by its own part.
 */
export function judgeProcesses(env: Env, asked: readonly ProcessRole[]): JudgedProcess[] {
  if (asked.length > 0) return asked.map((role) => judge(role, env));
  return PROCESS_ROLES.filter((role) => role !== 'all').map((role) => {
    const own = OWN_DATABASE[role];
    if (isSet(env, own)) return judge(role, withoutForeign(env, role));
    const found = `not in this environment: ${own} is not set`;
    return {
      role,
      config: null,
      judgements: [unchecked(found, `in its own environment: --process ${role}`)],
    };
  });
}

/** A secret that two zones must never share is here for somebody else. */
function withoutForeign(env: Env, role: ProcessRole): Env {
  const foreign = foreignVariables(role).flatMap((name) => [name, `${name}_FILE`]);
  return Object.fromEntries(Object.entries(env).filter(([name]) => !foreign.includes(name)));
}

function judge(role: ProcessRole, env: Env): JudgedProcess {
  try {
    const config: Config = loadConfig(role, env);
    const notes = notesOn(config);
    return {
      role,
      config,
      judgements: notes.length > 0 ? notes : [ok('every variable is there and can be used')],
    };
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    const judgements = error.problems.map((problem) =>
      fault(problem, 'the process would end at its start: set it as .env.example says'),
    );
    return { role, config: null, judgements };
  }
}

/** What starts, and lacks something all the same. */
function notesOn(config: Config): Judgement[] {
  const notes: Judgement[] = config.notices.map((notice) =>
    warning(notice, 'docs/upgrade-from-before.md has what replaces it'),
  );
  if ('api' in config && config.api.grantPublicKey === null) {
    notes.push(
      warning('MANA_AI_PUBLIC_KEY_PEM is not set: grants are off', 'give it the public key of the runner'),
    );
  }
  if ('api' in config && config.api.codecEndpoint === null) {
    notes.push(
      warning(
        'OPERATOR_TOKEN_SHA256 is not set: Temporal’s UI and CLI cannot decode',
        'see docs/operations.md, What the Temporal UI and CLI can show',
      ),
    );
  }
  if ('runner' in config && config.runner.grantPrivateKeys.length === 0) {
    notes.push(
      warning(
        'MANA_AI_PRIVATE_KEY_PEM is not set: grants are off, missions with encrypted inputs fail',
        'give it the private key that belongs to MANA_AI_PUBLIC_KEY_PEM of the API',
      ),
    );
  }
  if ('acceptPlaintextPayloads' in config && config.acceptPlaintextPayloads) {
    notes.push(
      warning(
        'TEMPORAL_CODEC_ACCEPT_PLAINTEXT is on: whoever reaches the Temporal server can start runs',
        'switch it off once the runs of before there were codec keys have ended',
      ),
    );
  }
  if (config.role === 'all') {
    notes.push(
      warning(
        'one process holds the secrets of all zones',
        'fit for development alone: start the three workers',
      ),
    );
  }
  return notes;
}

/** What no process may be given together, and an operator's machine only for as long as it is needed. */
export function judgeZones(env: Env): Judgement {
  const kek = ['MANA_AUTH_KEK', 'MANA_AUTH_KEKS'].find((name) => isSet(env, name));
  const other = ['MANA_AI_PRIVATE_KEY_PEM', 'MANA_SERVICE_KEY'].find((name) => isSet(env, name));
  if (kek === undefined || other === undefined) return ok('no two zones’ keys together');
  return warning(
    `${kek} and ${other} are in one environment`,
    'no process starts with both; where an operator needs both, keep them no longer than the command takes',
  );
}

/** Values of secrets in this environment, to be kept out of what drivers say. */
export const secretValues = (env: Env): string[] =>
  [
    ...SECRETS,
    'MAINTENANCE_DATABASE_URL',
    'MIGRATE_DATABASE_URL',
    'MIGRATE_AUTH_DATABASE_URL',
    'TEMPORAL_API_KEY',
  ]
    .map((name) => env[name] ?? '')
    .filter((value) => value.includes('://'));
