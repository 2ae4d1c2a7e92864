import type { KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { PlatformDatabases } from '#dev/databases.ts';
import { spawnProcess, waitUntilReady, type ManagedProcess } from '#dev/processes.ts';
import type { CodecKeys } from '#temporal/payload-codec.ts';

const root = resolve(import.meta.dirname, '..', '..');

export type ProcessName = 'api' | 'runner' | 'vault' | 'projection' | 'all';

/** What the processes of one system share; each gets only its own part of it. */
export interface Surroundings {
  readonly databases: PlatformDatabases;
  readonly temporal: { readonly address: string; readonly namespace: string };
  readonly keys: {
    readonly kek: Buffer;
    readonly publicKey: KeyObject;
    readonly privateKey: KeyObject;
    readonly codecKeys: CodecKeys;
  };
  readonly gateway: { readonly url: string; readonly serviceKey: string };
  /** `MANA_AUTH_URL`. */
  readonly issuerUrl: string;
  readonly workflowBundlePath: string;
  /** Where the code of the processes stands; here by default. */
  readonly checkout?: string;
  readonly logDirectory: string;
}

export interface SystemProcess extends ManagedProcess {
  /** All it has written to stdout and stderr. */
  readonly output: () => string;
  /** Of its health endpoint; the API's is that of the API. */
  readonly url: () => string;
}

type Environment = Readonly<Record<string, string>>;

/** The environment of a process: its own trust zone's variables, and any free port. */
export function environmentOf(name: ProcessName, around: Surroundings): Environment {
  const { databases, temporal, keys, gateway } = around;
  const { urls } = databases;
  const common = {
    TEMPORAL_ADDRESS: temporal.address,
    TEMPORAL_NAMESPACE: temporal.namespace,
    TEMPORAL_CODEC_KEYS: codecKeysText(keys.codecKeys),
  };
  const worker = { ...common, HEALTH_PORT: '0' };
  const vaultZone = { MANA_AUTH_KEK: keys.kek.toString('base64') };
  const runnerZone = {
    WORKFLOW_BUNDLE: around.workflowBundlePath,
    MANA_AI_PRIVATE_KEY_PEM: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    MANA_LLM_URL: gateway.url,
    MANA_SERVICE_KEY: gateway.serviceKey,
    // Shorter than by default: tests kill workers again and again.
    ACTIVITY_HEARTBEAT_TIMEOUT_SECONDS: '10',
  };
  const projectionZone = { WORKFLOW_BUNDLE: around.workflowBundlePath };
  const environments: Record<ProcessName, Environment> = {
    api: {
      ...common,
      ...vaultZone,
      PORT: '0',
      HEALTH_PORT: '0',
      SYNC_DATABASE_URL: urls.api.sync,
      AUTH_DATABASE_URL: urls.api.auth,
      MANA_AUTH_URL: around.issuerUrl,
      MANA_AI_PUBLIC_KEY_PEM: keys.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    },
    vault: {
      ...worker,
      ...vaultZone,
      SYNC_DATABASE_URL: urls.vault.sync,
      AUTH_DATABASE_URL: urls.vault.auth,
    },
    runner: { ...worker, ...runnerZone, SYNC_DATABASE_URL: urls.runner.sync },
    projection: { ...worker, ...projectionZone, SYNC_DATABASE_URL: urls.projection.sync },
    all: {
      ...worker,
      ...vaultZone,
      ...runnerZone,
      ALLOW_ALL_IN_ONE: 'true',
      AUTH_DATABASE_URL: urls.vault.auth,
      SYNC_DATABASE_URL_VAULT: urls.vault.sync,
      SYNC_DATABASE_URL_RUNNER: urls.runner.sync,
      SYNC_DATABASE_URL_PROJECTION: urls.projection.sync,
    },
  };
  return environments[name];
}

const codecKeysText = ({ primaryKeyId, keys }: CodecKeys): string =>
  // The first one encrypts.
  [primaryKeyId, ...[...keys.keys()].filter((id) => id !== primaryKeyId)]
    .map((id) => `${id}:${keys.get(id)?.toString('base64') ?? ''}`)
    .join(',');

let started = 0;

/** Starts `node worker.ts <name>` or `node api/server.ts` and waits for nothing. The environment is complete. */
export async function spawnSystemProcess(
  name: ProcessName,
  logDirectory: string,
  env: Environment,
  checkout = root,
): Promise<SystemProcess> {
  started += 1;
  const logFile = join(logDirectory, `${name}-${process.pid}-${started}.log`);
  const spawned = await spawnProcess({
    name,
    command: process.execPath,
    args: name === 'api' ? ['api/server.ts'] : ['worker.ts', name],
    env,
    logFile,
    cwd: checkout,
  });
  const output = (): string => readFileSync(logFile, 'utf8');
  const url = (): string => {
    const found = urlIn(output());
    if (found === null) throw new Error(`${name} has not said where it listens`);
    return found;
  };
  return { ...spawned, output, url };
}

/**
 * Starts a process of the system in a session of its own and waits until its log says that it works.
 *
 * @param overrides variables in place of, or besides, those of `environmentOf`
 * @throws Error with the end of its log when it ends before
 */
export async function startSystemProcess(
  name: ProcessName,
  around: Surroundings,
  overrides: Environment = {},
): Promise<SystemProcess> {
  const env = { ...environmentOf(name, around), ...overrides };
  const spawned = await spawnSystemProcess(name, around.logDirectory, env, around.checkout);
  try {
    await waitUntilReady(spawned, () => Promise.resolve(urlIn(spawned.output()) !== null), 60_000);
  } catch (error) {
    await spawned.kill9();
    throw error;
  }
  return spawned;
}

/** A worker logs its health port once it polls; the API its address once it listens. */
function urlIn(output: string): string | null {
  const port =
    /"healthPort":(\d+)(?!\d)[^\n]*"msg":"worker started"/.exec(output)?.[1] ??
    /Server listening at http:\/\/127\.0\.0\.1:(\d+)/.exec(output)?.[1];
  return port === undefined ? null : `http://127.0.0.1:${port}`;
}
