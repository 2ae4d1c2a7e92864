/** `bin/yarn missions keys rotate <which>`: which step of a key's rotation is next, judged by what is found. It changes no key by itself. */
import { Argument, type Command } from 'commander';
import type { Client } from '@temporalio/client';
import { loadMaintenanceConfig } from '#config/maintenance.ts';
import { readSecret } from '#config/secret-file.ts';
import { loadTemporalCommandConfig } from '#config/temporal-command.ts';
import { openDatabase } from '#db/client.ts';
import { readLiveGrants, type LiveGrants } from '#db/maintenance.ts';
import { probeGateway } from '#llm/gateway-probe.ts';
import { openRunsByKey } from '#runs/codec-keys-in-use.ts';
import { codecKeysInUse } from '#schedules/codec-keys-in-use.ts';
import { runReconcile } from '#schedules/system-workflows.ts';
import { connectClient } from '#temporal/connection.ts';
import { createDataConverter } from '#temporal/data-converter.ts';
import { judgeProcesses } from './doctor/processes.ts';
import { codecSteps, grantSteps, kekSteps, serviceSteps, type RotationStep } from './keys/rotation.ts';
import { print } from './verb.ts';

const KINDS = ['codec', 'grant', 'kek', 'service'] as const;
type Kind = (typeof KINDS)[number];

const LOOKED_AT = 100_000;
const RECONCILE_WITHIN_MS = 30 * 60_000;
const GATEWAY_WITHIN_MS = 8_000;
const STATE_WIDTH = 'unchecked'.length;

async function rotate(kind: Kind, reconciles: boolean, verb: Command): Promise<void> {
  if (reconciles && kind !== 'codec')
    throw new Error('--reconcile is for the codec keys: other keys encrypt no schedule');
  const steps = await STEPS[kind](reconciles, verb);
  for (const step of steps) print(verb, step, lineOf(step));
}

const lineOf = ({ step, state, what, found, how }: RotationStep): string =>
  `${state.padEnd(STATE_WIDTH)}  ${step}. ${what}: ${found}${state === 'done' ? '' : ` -> ${how}`}`;

const configs = () =>
  judgeProcesses(process.env, []).flatMap(({ config }) => (config === null ? [] : [config]));
const api = () => configs().find((config) => 'api' in config)?.api;
const vault = () => configs().find((config) => 'vault' in config)?.vault;
const runner = () => configs().find((config) => 'runner' in config)?.runner;

const STEPS: Readonly<Record<Kind, (reconciles: boolean, verb: Command) => Promise<RotationStep[]>>> = {
  codec,
  grant: async () => grantSteps(api(), runner(), await liveGrants()),
  kek: () => Promise.resolve(kekSteps(api(), vault())),
  service: async () => serviceSteps(api(), runner(), await gatewaySays()),
};

async function codec(reconciles: boolean, verb: Command): Promise<RotationStep[]> {
  const { temporal, codecKeys } = loadTemporalCommandConfig(process.env);
  const connected = await connectClient(temporal, createDataConverter(codecKeys));
  try {
    if (reconciles) await reconcile(connected.client, verb);
    const { all } = connected.clients;
    const schedules = await Promise.all(all.map((client) => codecKeysInUse(client, LOOKED_AT)));
    const runs = await Promise.all(all.map((client) => openRunsByKey(client, LOOKED_AT)));
    return codecSteps([...codecKeys.keys.keys()], schedules.flat(), runs.flat());
  } finally {
    await connected.close();
  }
}

async function reconcile(client: Client, verb: Command): Promise<void> {
  const { reencrypted, failed } = await runReconcile(client, RECONCILE_WITHIN_MS);
  print(verb, { reencrypted, failed }, `schedules encrypted anew: ${reencrypted}, failed: ${failed}`);
  if (failed > 0) process.exitCode = 1;
}

async function liveGrants(): Promise<LiveGrants[] | null> {
  if (readSecret(process.env, 'MAINTENANCE_DATABASE_URL') === undefined) return null;
  const { databaseUrl: url } = loadMaintenanceConfig(process.env);
  const database = openDatabase({
    ...{ url, applicationName: 'mana-missions-keys', maxConnections: 1, preparedStatements: false },
  });
  try {
    return await readLiveGrants(database.system);
  } finally {
    await database.close();
  }
}

async function gatewaySays(): Promise<string | null> {
  const settings = runner()?.gateway;
  if (settings === undefined) return null;
  const options = { baseUrl: settings.url, serviceKey: settings.serviceKey, timeoutMs: GATEWAY_WITHIN_MS };
  const probed = await probeGateway(options).catch(() => null);
  const words = {
    accepted: 'accepts it',
    denied: 'refuses it',
    unknown: 'lists no models, so it cannot be asked',
    unwell: 'is unwell',
  };
  return probed === null ? 'does not answer' : words[probed.key];
}

const HELP = `
Each line is a step: done, next, later, maybe (what is found fits two states, and the text says which) or unchecked (not seen from here).
It changes no key: keys stand in the environment of the processes. --reconcile does what a command can do, encrypting schedules anew.

Examples:
  bin/yarn missions keys rotate codec
  bin/yarn missions keys rotate codec --reconcile
  bin/yarn missions keys rotate grant --json

Environment: codec: TEMPORAL_*, TEMPORAL_CODEC_KEYS; grant, kek and service: that of the processes, as for doctor; grant:
MAINTENANCE_DATABASE_URL, too`;

export const addKeys = (program: Command): void => {
  const keys = program.command('keys').description('the keys of the service (docs/operations.md)');
  keys
    .command('rotate')
    .description('which step of a rotation is next, and what is still under the old key')
    .addArgument(new Argument('<which>', 'the key').choices([...KINDS]))
    .option('--reconcile', 'codec: encrypt the input of every schedule anew first, and count')
    .addHelpText('after', HELP)
    .action((kind: Kind, options: { readonly reconcile?: true }, verb: Command) =>
      rotate(kind, options.reconcile === true, verb),
    );
};
