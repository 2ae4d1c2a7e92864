import { createHash, generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { diagnose } from '#commands/doctor/diagnose.ts';
import type { Finding } from '#commands/finding.ts';
import { keyChecks } from '#commands/doctor/keys.ts';
import { neighbourChecks } from '#commands/doctor/neighbours.ts';
import { judgeProcesses } from '#commands/doctor/processes.ts';
import { temporalChecks } from '#commands/doctor/temporal.ts';
import { loadTemporalCommandConfig } from '#config/temporal-command.ts';
import { freePort } from '#dev/free-port.ts';
import type { ProcessRole } from '#config/zones.ts';
import { SWEEP_SCHEDULE } from '#schedules/system-schedules.ts';
import { connect } from '#temporal/connection.ts';
import { query } from '#test/support/inspect.ts';
import { SERVICE_KEY } from '#test/support/mission-system.ts';
import { runMissions } from '#test/support/operator-commands.ts';
import { waitUntil } from '#test/support/wait-until.ts';
import {
  type Env,
  system,
  operator,
  envOf,
  answerModelsWith,
  made,
  configsOf,
  databaseFindings,
  withStatus,
} from '#test/support/operated-system.ts';

async function findings(env: Env, ...roles: ProcessRole[]): Promise<Finding[]> {
  const found: Finding[] = [];
  for await (const finding of diagnose(env, roles)) found.push(finding);
  return found;
}

async function temporalFindings(env: Env, ...names: string[]): Promise<Finding[]> {
  const { checks, close } = temporalChecks(loadTemporalCommandConfig(env));
  try {
    return await made(checks.filter(({ name }) => names.length === 0 || names.includes(name)));
  } finally {
    await close();
  }
}
/** While it holds, the statement is in force. */
async function planted<T>(plant: string, takeAway: string, work: () => Promise<T>, auth = false): Promise<T> {
  const { superuser } = system.databases;
  const url = auth ? superuser.authUrl : superuser.syncUrl;
  await query(url, plant);
  try {
    return await work();
  } finally {
    await query(url, takeAway);
  }
}

/** Of test/integration/operators-verbs.test.ts, in its process and behind the others: the last one takes a search attribute away. */
export function doctorTests(): void {
  describe('yarn missions doctor', () => {
    it('finds nothing wrong with a service that is well, in an operator’s environment', async () => {
      const { code, stdout, stderr } = await runMissions(['doctor', '--json'], operator);
      const lines = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Finding);
      expect(withStatus(lines, 'fault')).toEqual([]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(withStatus(lines, 'warning')).toEqual([
        expect.stringContaining('trust zones: MANA_AUTH_KEK and'),
      ]);
      expect(withStatus(lines, 'unchecked')).toEqual([
        expect.stringContaining('fairness'),
        expect.stringContaining('schedule start rate'),
      ]);
      // No value of a secret, and no password.
      const secrets = [
        system.keys.kek.toString('base64'),
        SERVICE_KEY,
        ...Object.values(operator).flatMap((value) => (URL.canParse(value) ? new URL(value).password : [])),
        ...[...system.keys.codecKeys.keys.values()].map((key) => key.toString('base64')),
      ].filter((secret) => secret !== '');
      expect(secrets.length).toBeGreaterThan(5);
      for (const secret of secrets) expect(stdout).not.toContain(secret);
    });

    it('in the environment of one process it judges that one, and says what it cannot see', async () => {
      const found = await findings(envOf('vault'), 'vault');
      expect(withStatus(found, 'fault')).toEqual([]);
      expect(withStatus(found, 'unchecked').join('\n')).toMatch(
        /grant keys: .*\nservice keys: .*\ndatabase of maintenance: .*\n(.*\n)*gateway: the runner cannot be judged here/,
      );
      for (const role of ['api', 'runner', 'projection'] as const)
        expect(configsOf(envOf(role), role)).toHaveLength(1);
    });

    it('names variables of the service before', () => {
      const [judged] = judgeProcesses({ ...envOf('projection'), TICK_INTERVAL_MS: '60000' }, ['projection']);
      expect(judged?.judgements).toMatchObject([
        { status: 'warning', found: expect.stringMatching(/^TICK_INTERVAL_MS is a variable/) as string },
      ]);
    });

    it('finds keys that do not fit each other', async () => {
      const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey;
      const keysOf = async (change: Env): Promise<string> => {
        const found = await made(keyChecks(configsOf({ ...operator, ...change })));
        return [...withStatus(found, 'fault'), ...withStatus(found, 'warning')].join();
      };
      const PEM = other.export({ type: 'spki', format: 'pem' }).toString();
      expect(await keysOf({ MANA_AI_PUBLIC_KEY_PEM: PEM })).toMatch(
        /^grant keys: the API mints under [\da-f]{16}, which the runner cannot open: it has [\da-f]{16}$/,
      );
      const hash = createHash('sha256').update('another').digest('hex');
      expect(await keysOf({ MANA_SERVICE_KEY_SHA256: hash })).toContain(
        'service keys: the API takes another key',
      );
      expect(await keysOf({ MANA_AUTH_KEK: '' })).toContain('vault keys: API: no key is set');
      const [api] = configsOf(envOf('api'), 'api');
      const [vault] = configsOf(
        { ...envOf('vault'), MANA_AUTH_KEK: randomBytes(32).toString('base64') },
        'vault',
      );
      const apart = await made(keyChecks([api, vault].filter((config) => config !== undefined)));
      expect(withStatus(apart, 'fault')).toEqual([
        expect.stringContaining('API and vault worker have different keys'),
      ]);
      const TEMPORAL_CODEC_KEYS = `test-1:${randomBytes(32).toString('base64')}`;
      expect(
        withStatus(await temporalFindings({ ...operator, TEMPORAL_CODEC_KEYS }, 'codec keys'), 'fault'),
      ).toEqual([expect.stringMatching(/^codec keys: a schedule under key test-1 does not open/)]);
    });

    it('finds schedules under a codec key that is not the first, or not there', async () => {
      const keys = `new:${randomBytes(32).toString('base64')},${operator['TEMPORAL_CODEC_KEYS'] ?? ''}`;
      const found = await temporalFindings({ ...operator, TEMPORAL_CODEC_KEYS: keys }, 'codec keys');
      expect(withStatus(found, 'warning').join('\n')).toMatch(
        /codec keys: \d+ schedules are under test-1, not under new/,
      );
      const gone = keys.split(',')[0] ?? '';
      const without = withStatus(
        await temporalFindings({ ...operator, TEMPORAL_CODEC_KEYS: gone }, 'codec keys'),
        'fault',
      );
      expect(without).toEqual([expect.stringContaining('under key test-1, which is not among ours (new)')]);
    });

    it('finds users that see too much or too little', async () => {
      const { superuser, asWebApp } = system.databases;
      const faults = withStatus(
        await databaseFindings({
          ...operator,
          MAINTENANCE_DATABASE_URL: operator['SYNC_DATABASE_URL_API'] ?? '',
          SYNC_DATABASE_URL_RUNNER: superuser.syncUrl,
          SYNC_DATABASE_URL_PROJECTION: asWebApp.syncUrl,
          AUTH_DATABASE_URL: asWebApp.authUrl,
          SYNC_DATABASE_URL_VAULT: (operator['SYNC_DATABASE_URL_VAULT'] ?? '').replace(
            /:[^:@/]+@/,
            ':wrong@',
          ),
        }),
        'fault',
      );
      expect(faults).toEqual([
        expect.stringMatching(/^database of vault, mana_sync: password authentication failed/),
        expect.stringMatching(/^database of runner, mana_sync: row-level security does not apply/),
        expect.stringMatching(
          /^database of projection, mana_sync: user is not a member of mana_missions_projection/,
        ),
        expect.stringMatching(/^database of api or vault, mana_platform: user is not a member of/),
        expect.stringMatching(/^connection of vault, mana_sync: password authentication failed/),
        expect.stringContaining('database of maintenance: user is not a member'),
      ]);
    });

    const TABLE = 'mana_ai.sealed_inputs';
    it.each<[string, string, string, RegExp]>([
      [
        'a policy that opens a table',
        `create policy everybody on ${TABLE} using (true)`,
        `drop policy everybody on ${TABLE}`,
        /no migration of this version made: policy sealed_inputs.everybody/,
      ],
      [
        'row-level security that is off',
        `alter table ${TABLE} disable row level security`,
        `alter table ${TABLE} enable row level security`,
        /missing, or with other rights: table sealed_inputs/,
      ],
      [
        'a right that is too much',
        'grant select on mana_ai.sealed_inputs to mana_missions_projection',
        'revoke select on mana_ai.sealed_inputs from mana_missions_projection',
        /made: grant on sealed_inputs to mana_missions_projection/,
      ],
      [
        'a right that is missing',
        'revoke insert on mana_ai.run_slots from mana_missions_runner',
        'grant insert on mana_ai.run_slots to mana_missions_runner',
        /grant on run_slots to mana_missions_runner -> .*grants them again, as migrations\/manifest\.json/,
      ],
      [
        'a migration that has not been made',
        'update mana_ai.migrations set id = -id where id = (select max(id) from mana_ai.migrations)',
        'update mana_ai.migrations set id = -id where id < 0',
        /schema is older than this program/,
      ],
    ])('finds %s', (_, plant, takeAway, expected) =>
      planted(plant, takeAway, async () => {
        const faults = (await databaseFindings(envOf('runner'), 'runner'))
          .filter(({ status }) => status === 'fault')
          .map(({ found, advice }) => `${found} -> ${advice}`);
        expect(faults).toEqual([expect.stringMatching(expected)]);
      }),
    );

    it('finds rights that mana-auth’s owner has not given', () =>
      planted(
        'revoke select on auth.encryption_vaults from mana_missions_vault',
        'grant select on auth.encryption_vaults to mana_missions_vault',
        async () => {
          const faults = withStatus(await databaseFindings(envOf('vault'), 'vault'), 'fault');
          expect(faults.join('\n')).toContain('grant on encryption_vaults to mana_missions_vault');
        },
        true,
      ));

    it('finds a gateway that refuses the key, is unwell, or is not there; and mana-auth likewise', async () => {
      const judged = async (env: Env): Promise<string[]> =>
        (await made(neighbourChecks(configsOf(env)))).map(({ status, found }) => `${status}: ${found}`);
      expect(
        await judged({
          ...operator,
          MANA_SERVICE_KEY: 'another',
          MANA_AUTH_URL: operator['MANA_LLM_URL'] ?? '',
        }),
      ).toEqual([
        'fault: answers, and refuses MANA_SERVICE_KEY (401)',
        'fault: /api/v1/auth/jwks answers 401',
      ]);
      for (const [status, expected] of [
        [503, /^warning: answers with an error/],
        [404, /^ok: answers; it lists no models/],
      ] as const) {
        answerModelsWith(status);
        expect((await judged(operator))[0]).toMatch(expected);
      }
      answerModelsWith(200);
      const nobody = `http://127.0.0.1:${await freePort()}`;
      expect((await judged({ ...operator, MANA_LLM_URL: nobody, MANA_AUTH_URL: nobody })).join()).toMatch(
        /fault: nobody answers.*,fault: nobody answers/,
      );
    });

    it('finds what Temporal lacks: server, namespace, workers, schedules of our own, search attributes', async () => {
      const temporalFaults = async (change: Env, ...names: string[]): Promise<string> =>
        withStatus(await temporalFindings({ ...operator, ...change }, ...names), 'fault').join('\n');
      expect(await temporalFaults({ TEMPORAL_ADDRESS: '127.0.0.1:9' })).toContain(
        'no Temporal server answers at 127.0.0.1:9',
      );
      const nowhere = `nowhere-${randomUUID()}`;
      expect(await temporalFaults({ TEMPORAL_NAMESPACE: nowhere })).toContain(
        `namespace ${nowhere} does not exist`,
      );
      // The default namespace has our attributes, and nobody at work.
      const idle = await temporalFaults({ TEMPORAL_NAMESPACE: 'default' });
      for (const queue of ['missions', 'missions-vault', 'missions-projection']) {
        expect(idle).toContain(`task queues: ${queue}: nobody has polled it`);
      }
      expect(idle).toContain(`system schedules: ${SWEEP_SCHEDULE.id}: missing`);
      const connection = await connect({
        address: envOf('api')['TEMPORAL_ADDRESS'] ?? '',
        namespace: system.namespace,
      });
      try {
        await connection.operatorService.removeSearchAttributes({
          namespace: system.namespace,
          searchAttributes: ['ManaOutcome'],
        });
        await waitUntil('the attribute is gone', async () =>
          (await temporalFaults({}, 'search attributes')).includes('search attributes: missing: ManaOutcome'),
        );
      } finally {
        await connection.close();
      }
    });
  });
}
