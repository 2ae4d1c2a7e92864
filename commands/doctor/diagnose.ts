import { readSecret } from '#config/secret-file.ts';
import { loadTemporalCommandConfig, type TemporalCommandConfig } from '#config/temporal-command.ts';
import type { ProcessRole } from '#config/zones.ts';
import { messageOf } from '../verb.ts';
import { databaseChecks, databasesOf } from './databases.ts';
import { fault, findingsOf, type DoctorCheck, type Finding } from '../finding.ts';
import { keyChecks } from './keys.ts';
import { neighbourChecks } from './neighbours.ts';
import { judgeProcesses, judgeZones, secretValues, type Env } from './processes.ts';
import { temporalChecks } from './temporal.ts';

/**
 * Makes all checks, one after the other, so that none slows down another's answer.
 *
 * @param roles see `judgeProcesses`
 */
export async function* diagnose(
  env: Env,
  roles: readonly ProcessRole[],
): AsyncGenerator<Finding, void, undefined> {
  const processes = judgeProcesses(env, roles);
  const configs = processes.flatMap(({ config }) => (config === null ? [] : [config]));
  const databases = databasesOf(configs);
  const temporal = temporalOf(env);
  const checks: DoctorCheck[] = [
    ...processes.map(({ role, judgements }) => ({
      name: `configuration of ${role}`,
      look: () => Promise.resolve(judgements),
    })),
    { name: 'trust zones', look: () => Promise.resolve(judgeZones(env)) },
    ...keyChecks(configs),
    ...databaseChecks(databases, maintenanceUrlOf(env)),
    ...temporal.checks,
    ...neighbourChecks(configs),
  ];
  const secrets = [...secretValues(env), ...databases.map(({ url }) => url)];
  try {
    for (const check of checks) yield* await findingsOf(check, secrets);
  } finally {
    await temporal.close();
  }
}

/** What is wrong with its file is said by the verbs that need it. */
function maintenanceUrlOf(env: Env): string | null {
  try {
    return readSecret(env, 'MAINTENANCE_DATABASE_URL') ?? null;
  } catch {
    return null;
  }
}

function temporalOf(env: Env): ReturnType<typeof temporalChecks> {
  let config: TemporalCommandConfig;
  try {
    config = loadTemporalCommandConfig(env);
  } catch (error) {
    const judgement = fault(messageOf(error), 'set it as .env.example says');
    return {
      checks: [{ name: 'Temporal', look: () => Promise.resolve(judgement) }],
      close: () => Promise.resolve(),
    };
  }
  return temporalChecks(config);
}
