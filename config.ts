import { KeyObject } from 'node:crypto';
import type { z } from 'zod';
import { readOldVariables } from './config/service-before.ts';
import { readSecret, SecretFileError } from './config/secret-file.ts';
import { SECRETS, schemas } from './config/settings.ts';
import { foreignVariables, type ProcessRole } from './config/zones.ts';
import { loadTemporalConfig } from './temporal/connection.ts';
import { NamespacesError } from './temporal/namespaces.ts';

export { isProcessRole } from './config/zones.ts';
export type { ProcessRole } from './config/zones.ts';

type Env = Readonly<Record<string, string | undefined>>;
type TemporalConfig = ReturnType<typeof loadTemporalConfig>;
type Settings<Role extends ProcessRole> = z.output<(typeof schemas)[Role]>;

/** The frozen configuration of one process; what each role has besides is in config/settings.ts. */
export type Config<Role extends ProcessRole = ProcessRole> = Settings<Role> & {
  readonly role: Role;
  readonly temporal: TemporalConfig;
  /** What the process says in its log as it starts; without values. */
  readonly notices: readonly string[];
};

/** Everything that is wrong with the environment, one line for each variable. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
  readonly problems: readonly string[];
  constructor(role: ProcessRole, problems: readonly string[]) {
    super([`the configuration of process "${role}" cannot be used:`, ...problems].join('\n  '));
    this.problems = problems;
  }
}

/**
 * Reads the configuration of one process from the environment (docs/architecture.md section 7) and freezes it. Nothing else
 * reads `process.env`. A variable that is set to nothing counts as not set; unknown ones are ignored,
 * but those of the service before are understood or named (config/service-before.ts).
 *
 * @throws ConfigurationError that lists every problem by variable name, and never shows a value or a part of one
 */
export function loadConfig<Role extends ProcessRole>(role: Role, env: Env = process.env): Config<Role> {
  const variables = new Variables(role, env);
  const temporal = readTemporal(role, variables);
  const parsed = schemas[role].safeParse(Object.fromEntries(variables.values));
  for (const { path, message } of parsed.error?.issues ?? []) variables.refuse(String(path[0]), message);
  if (!parsed.success || temporal === null || variables.problems.size > 0) {
    throw new ConfigurationError(
      role,
      [...variables.problems].map(([name, problem]) => `${name}: ${problem}`),
    );
  }
  const { notices } = variables;
  return deepFreeze({ role, temporal, notices, ...(parsed.data as Settings<Role>) });
}

/** The variables that are set, whence they came, and what is wrong with them. */
class Variables {
  readonly values: Map<string, string>;
  /** By the name under which the operator set the variable; the first problem of each is told. */
  readonly problems = new Map<string, string>();
  readonly notices: readonly string[];
  readonly #cameFrom = new Map<string, string>();

  constructor(role: ProcessRole, env: Env) {
    this.values = new Map(
      Object.entries(env).filter((entry): entry is [string, string] => (entry[1] ?? '') !== ''),
    );
    const foreign = foreignVariables(role);
    this.#refuseForeign(foreign);
    this.#readFiles(SECRETS.filter((name) => !foreign.includes(name)));
    this.#spreadSyncDatabaseUrl();
    const old = readOldVariables(role, this.values);
    for (const [name, oldName] of old.renamed) this.#cameFrom.set(name, oldName);
    for (const [name, problem] of old.problems) this.refuse(name, problem);
    this.notices = old.notices;
  }

  refuse(name: string, problem: string): void {
    const setAs = this.#cameFrom.get(name) ?? name;
    if (!this.problems.has(setAs)) this.problems.set(setAs, problem);
  }

  #refuseForeign(foreign: readonly string[]): void {
    for (const name of foreign.flatMap((secret) => [secret, `${secret}_FILE`])) {
      if (this.values.has(name))
        this.refuse(name, 'belongs to another trust zone; this process must not be given it');
    }
  }

  #readFiles(secrets: readonly string[]): void {
    for (const name of secrets) {
      if (!this.values.has(`${name}_FILE`)) continue;
      this.#cameFrom.set(name, `${name}_FILE`);
      try {
        const text = readSecret(Object.fromEntries(this.values), name);
        if (text !== undefined) this.values.set(name, text);
      } catch (error) {
        if (!(error instanceof SecretFileError)) throw error;
        this.problems.set(error.variable, error.problem);
      }
    }
  }

  /** `SYNC_DATABASE_URL` is the one of every part that has none of its own. */
  #spreadSyncDatabaseUrl(): void {
    const plain = this.values.get('SYNC_DATABASE_URL');
    for (const name of SECRETS.filter((secret) => secret.startsWith('SYNC_DATABASE_URL_'))) {
      if (this.values.has(name)) continue;
      this.#cameFrom.set(name, this.#cameFrom.get('SYNC_DATABASE_URL') ?? 'SYNC_DATABASE_URL');
      if (plain !== undefined) this.values.set(name, plain);
    }
  }
}

/** What they do belongs to no user. */
const AT_HOME: readonly ProcessRole[] = ['projection', 'all'];

function readTemporal(role: ProcessRole, variables: Variables): TemporalConfig | null {
  try {
    const temporal = loadTemporalConfig(Object.fromEntries(variables.values));
    const home = temporal.namespaces?.[0]?.name ?? temporal.namespace;
    if (temporal.namespace !== home && AT_HOME.includes(role))
      variables.refuse('TEMPORAL_NAMESPACE', 'the projection works in the first of TEMPORAL_NAMESPACES');
    return temporal;
  } catch (error) {
    if (error instanceof NamespacesError) {
      variables.refuse(error.variable, error.problem);
      return null;
    }
    // The cause may quote a path or the content of a file.
    variables.refuse(
      'TEMPORAL_*',
      'the connection settings cannot be read; check that the files they name exist',
    );
    return null;
  }
}

const refuseChange = (): never => {
  throw new TypeError('the configuration is frozen');
};

// Bytes cannot be frozen, and a KeyObject has nothing to change.
function deepFreeze<T>(value: T): T {
  if (
    typeof value !== 'object' ||
    value === null ||
    ArrayBuffer.isView(value) ||
    value instanceof KeyObject ||
    // Settings may share a value.
    Object.isFrozen(value)
  ) {
    return value;
  }
  if (value instanceof Map)
    Object.assign(value, { set: refuseChange, delete: refuseChange, clear: refuseChange });
  for (const inner of Object.values(value)) deepFreeze(inner);
  return Object.freeze(value);
}
