export const PROCESS_ROLES = ['api', 'vault', 'runner', 'projection', 'all'] as const;
export type ProcessRole = (typeof PROCESS_ROLES)[number];

/**
 * Trust zones (docs/architecture.md section 2): who may be given a variable. Together they keep KEK and RSA private key apart,
 * and the KEK away from a route to the LLM, whose key is the secret part of it. The owners' database URLs belong to the
 * migration alone. `AUTH_DATABASE_URL` and `MANA_LLM_URL` open nothing by themselves: where they are not needed they are
 * ignored.
 */
const ZONES: Readonly<Record<string, readonly ProcessRole[]>> = {
  MANA_AUTH_KEK: ['api', 'vault'],
  MANA_AUTH_KEKS: ['api', 'vault'],
  MANA_AI_PRIVATE_KEY_PEM: ['runner'],
  MANA_SERVICE_KEY: ['runner'],
  SYNC_DATABASE_URL_API: ['api'],
  SYNC_DATABASE_URL_VAULT: ['vault'],
  SYNC_DATABASE_URL_RUNNER: ['runner'],
  SYNC_DATABASE_URL_PROJECTION: ['projection'],
  MIGRATE_DATABASE_URL: [],
  MIGRATE_AUTH_DATABASE_URL: [],
  // The operator's audit commands: config/maintenance.ts.
  MAINTENANCE_DATABASE_URL: [],
  AUDIT_CHECKPOINT_PRIVATE_KEY_PEM: [],
};

/** The variables that a process must not be given. The all-in-one process is the exception, see `ALLOW_ALL_IN_ONE`. */
export const foreignVariables = (role: ProcessRole): string[] =>
  role === 'all' ? [] : Object.keys(ZONES).filter((name) => ZONES[name]?.includes(role) === false);

export const isProcessRole = (text: unknown): text is ProcessRole =>
  PROCESS_ROLES.some((role) => role === text);
