import { unwrapGrant } from '#crypto/unwrap-grant.ts';
import { readBudget } from '#db/budget-reservations.ts';
import type { Database, UserTransaction } from '#db/client.ts';
import { findLatestGrant } from '#db/mission-grants.ts';
import { readAgent, readMission } from '#db/missions.ts';
import type { PendingMission } from '#db/schedule-state.ts';
import { readClockMs } from '#db/sync-changes.ts';
import { isEncryptedValue } from '#crypto/field-value.ts';
import { instantMs } from '#domain/base/instant.ts';
import type { MissionId, UserId } from '#domain/base/ids.ts';
import { parseGrant } from '#domain/wire/grant.ts';
import { ENCRYPTED_MISSION_FIELDS, type Mission } from '#domain/wire/mission.ts';
import { tokensPerDay } from '#domain/run/budget.ts';
import type { ExplainConfig } from '#config/explain-command.ts';
import { fault, ok, unchecked, warning, type Judgement } from '../finding.ts';

/** The latest grant of the mint log, as the API tells it its user. */
export async function grantReasons(api: Database, userId: UserId, missionId: MissionId): Promise<Judgement> {
  const grant = await api.asUser(userId, (tx) => findLatestGrant(tx, missionId));
  if (grant === null)
    return warning(
      'none was minted here',
      'enough for a mission without ciphertext; else its user grants access in the app',
    );
  const scope = `${grant.recordIds.length} records, until ${grant.expiresAt.toISOString()}`;
  if (grant.revoked) return fault(`revoked (${scope})`, 'its user grants access again in the app');
  if (grant.expired) return fault(`expired (${scope})`, 'its user renews the access in the app');
  return grant.expiresBeforeNextRun === true
    ? warning(`usable, and expires before the next run (${scope})`, 'its user opens the app, which renews it')
    : ok(`usable, ${scope}`);
}

/** The record as a run reads it, and what a run asks before it plans. Words are read and not told. */
export async function recordReasons(
  runner: Database,
  config: ExplainConfig,
  mission: {
    readonly userId: UserId;
    readonly missionId: MissionId;
    readonly pending: PendingMission | null;
  },
): Promise<Judgement[]> {
  return runner.asUser(mission.userId, async (tx) => {
    const read = await readMission(tx, mission.missionId);
    if (read === null)
      return [fault('the log has no such mission of this user, or its tombstone', 'nothing: it is gone')];
    return [
      ...(read.tooLarge.length === 0
        ? []
        : [
            fault(
              `too large to be read: ${read.tooLarge.length} fields`,
              'its user makes it smaller (docs/limits.md)',
            ),
          ]),
      ...projectionLag(read.mission, mission.pending),
      await wrappedGrant(tx, config, mission.userId, read.mission),
      ...inputsCovered(read.mission),
      await budget(tx, config, read.mission),
    ];
  });
}

function projectionLag(mission: Mission, pending: PendingMission | null): Judgement[] {
  const isSame =
    pending !== null &&
    pending.state === mission.state &&
    pending.nextRunAtMs === instantMs(mission.nextRunAt);
  return isSame
    ? []
    : [
        warning(
          'the log says another state or next instant than the projection has taken in',
          'wait a moment and ask again; if it lasts, does the projection run (bin/yarn missions doctor)?',
        ),
      ];
}

/** Tried as a run tries it, and nothing kept. */
async function wrappedGrant(
  tx: UserTransaction,
  { privateKeys }: ExplainConfig,
  userId: UserId,
  mission: Mission,
): Promise<Judgement> {
  const about = 'grant in the record';
  const isEncrypted = ENCRYPTED_MISSION_FIELDS.some((field) => isEncryptedValue(mission[field]));
  const needed = isEncrypted
    ? 'its own fields are encrypted, so it fails without'
    : 'its own fields are in clear, so it runs without';
  if (mission.grant === null) {
    const judge = isEncrypted ? fault : warning;
    return { about, ...judge(`none; ${needed}`, 'its user grants access in the app') };
  }
  if (privateKeys.length === 0)
    return { about, ...unchecked('there is one; MANA_AI_PRIVATE_KEY_PEM is not set here to try it') };
  const unwrapped = unwrapGrant({ privateKeys, userId, grant: mission.grant, nowMs: await readClockMs(tx) });
  if (!unwrapped.ok) {
    const judge = isEncrypted ? fault : warning;
    return {
      about,
      ...judge(`opens nothing (${unwrapped.reason}); ${needed}`, 'its user renews the access in the app'),
    };
  }
  unwrapped.mdk.fill(0);
  return { about, ...ok(`opens, under key ${unwrapped.keyId}`) };
}

function inputsCovered({ grant, inputs }: Mission): Judgement[] {
  const named = parseGrant(grant)?.derivation.recordIds;
  if (named === undefined) return [];
  const missing = inputs.filter(({ table, id }) => !named.includes(`${table}:${id}`)).length;
  return missing === 0
    ? []
    : [
        {
          about: 'inputs',
          ...warning(
            `${missing} of ${inputs.length} are not named by the grant: their encrypted fields stay closed`,
            'its user renews the access in the app',
          ),
        },
      ];
}

async function budget(tx: UserTransaction, config: ExplainConfig, mission: Mission): Promise<Judgement> {
  const agent = mission.agentId === null ? null : ((await readAgent(tx, mission.agentId))?.agent ?? null);
  const maxTokens = tokensPerDay(agent, config.defaultTokensPerDay);
  const { usedTokens, reservedTokens } = await readBudget(tx, agent?.id ?? null);
  const whose = agent === null ? 'of the user' : `of agent ${agent.id}`;
  const found = `${usedTokens} of ${maxTokens ?? 'unlimited'} tokens used in 24 hours, ${reservedTokens} reserved (${whose})`;
  return maxTokens !== null && usedTokens >= maxTokens
    ? {
        about: 'budget',
        ...fault(
          found,
          'wait, or its user raises maxTokensPerDay of the agent (without an agent: DEFAULT_TOKENS_PER_DAY)',
        ),
      }
    : { about: 'budget', ...ok(found) };
}
