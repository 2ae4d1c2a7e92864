import { createPublicKey, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import { readCommandVariables } from './command-variables.ts';
import { databaseUrl, signingKey, verificationKeys } from './variables.ts';

/** Variables of the operator's audit commands (docs/audit.md). No process of the service may be given them. */
const variables = {
  MAINTENANCE_DATABASE_URL: databaseUrl,
  AUDIT_CHECKPOINT_PRIVATE_KEY_PEM: signingKey,
  AUDIT_CHECKPOINT_PUBLIC_KEY_PEM: verificationKeys.default([]),
};

/** What each command reads. Only pruning signs, so only it needs the private key. */
const schemas = {
  read: z.object(variables).omit({ AUDIT_CHECKPOINT_PRIVATE_KEY_PEM: true }),
  prune: z.object(variables),
};
export type MaintenanceCommand = keyof typeof schemas;

export interface MaintenanceConfig {
  /** Of a user that is a member of `mana_missions_maintenance`, in database mana_sync. */
  readonly databaseUrl: string;
  /** Ed25519; verify the checkpoints that earlier prunings signed. */
  readonly checkpointPublicKeys: readonly KeyObject[];
}
export interface PruneConfig extends MaintenanceConfig {
  /** Ed25519; its public key is among `checkpointPublicKeys`. */
  readonly checkpointPrivateKey: KeyObject;
}

/** Everything that is wrong with the environment of a command, one line for each variable, without values. */
export class MaintenanceConfigurationError extends Error {
  override readonly name = 'MaintenanceConfigurationError';
}

type Env = Readonly<Record<string, string | undefined>>;

/**
 * Reads what a command needs that only looks: verifying, heads, erasing. Each variable may also come from the file that
 * `<name>_FILE` names.
 *
 * @throws MaintenanceConfigurationError
 */
export function loadMaintenanceConfig(env: Env): MaintenanceConfig {
  const read = parse('read', env);
  return {
    databaseUrl: read.MAINTENANCE_DATABASE_URL,
    checkpointPublicKeys: read.AUDIT_CHECKPOINT_PUBLIC_KEY_PEM,
  };
}

/** Likewise for pruning, which signs checkpoints. */
export function loadPruneConfig(env: Env): PruneConfig {
  const read = parse('prune', env);
  const checkpointPrivateKey = read.AUDIT_CHECKPOINT_PRIVATE_KEY_PEM;
  return {
    databaseUrl: read.MAINTENANCE_DATABASE_URL,
    checkpointPrivateKey,
    checkpointPublicKeys: [createPublicKey(checkpointPrivateKey), ...read.AUDIT_CHECKPOINT_PUBLIC_KEY_PEM],
  };
}

const parse = <Command extends MaintenanceCommand>(
  command: Command,
  env: Env,
): z.output<(typeof schemas)[Command]> =>
  readCommandVariables(
    schemas[command],
    env,
    (problems) =>
      new MaintenanceConfigurationError(
        ['the configuration of the audit commands cannot be used:', ...problems].join('\n  '),
      ),
  );
