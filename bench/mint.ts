import { randomUUID } from 'node:crypto';
import { measure, timingTable, throughput, type Variant } from './measure.ts';
import type { Aim, Table } from './results/result.ts';
import { grantRequest, mintByApi, type BenchSystem } from './system.ts';
import { unwrapMasterKey } from '#crypto/unwrap-master-key.ts';
import { wrapMasterKey } from '#dev/wrap-master-key.ts';
import { mintGrant, type MintedGrant } from '#crypto/wrap-grant.ts';
import { enterMintedGrant } from '#db/mission-grants.ts';
import { lockMission } from '#db/mission-lock.ts';
import { saveTimeZone } from '#db/time-zones.ts';
import { findVault, recordVaultAccess } from '#db/vaults.ts';
import type { WebAppUser } from '#dev/web-app.ts';
import { GRANT_TTL_DEFAULT_MS } from '#domain/wire/grant.ts';
import { toMissionId } from '#domain/base/ids.ts';

const RECORDS = 200;
const THROUGHPUT = { calls: 1000, concurrency: 8 } as const;

const CRYPTO = 'bare crypto';
const WITH_DATABASE = 'bare crypto and its database round trips';

/** Minting with 200 records: through the API, by hand with the same statements, and the cryptography alone. */
export async function benchMint(
  system: BenchSystem,
  sizes: { readonly samples: number; readonly warmUps: number },
): Promise<{ readonly table: Table; readonly aims: Aim[]; readonly notes: string[] }> {
  const user = await system.webApp.createUser();
  const token = await system.tokenOf(user);
  const noteIds = Array.from({ length: RECORDS }, () => randomUUID());
  const byApi = () => mintByApi(system.api, token, grantRequest(randomUUID(), noteIds));
  const variants: Variant[] = [
    { name: CRYPTO, run: cryptoOf(system, user, noteIds) },
    { name: WITH_DATABASE, run: withDatabase(system, user, noteIds) },
    { name: 'POST /api/v1/me/ai-mission-grant', run: byApi },
  ];
  const timings = await measure(variants, sizes);
  const perSecond = await throughput(byApi, THROUGHPUT);
  const [, bare, product] = timings;
  return {
    table: timingTable(`Mint a grant for ${RECORDS} records`, timings, [CRYPTO, WITH_DATABASE]),
    aims: [
      {
        what: 'A mint, as ratio to its bare cryptography and its database round trips',
        ...{ found: (product?.medianMs ?? NaN) / (bare?.medianMs ?? NaN), atMost: 2 },
      },
    ],
    notes: [`${perSecond.toFixed(0)} mints a second with ${THROUGHPUT.concurrency} requests under way.`],
  };
}

/** What no implementation can do without: unwrap the master key, derive the mission data key, wrap it. */
function mint(
  system: BenchSystem,
  user: WebAppUser,
  masterKey: Buffer,
  noteIds: readonly string[],
): MintedGrant {
  const request = grantRequest(randomUUID(), noteIds);
  return mintGrant({
    version: 'v2',
    masterKey,
    userId: user.userId,
    missionId: toMissionId(request.missionId),
    tables: request.tables,
    recordIds: request.recordIds,
    issuedAtMs: Date.now(),
    ttlMs: GRANT_TTL_DEFAULT_MS,
    publicKey: system.publicKey,
  });
}

const unwrap = (system: BenchSystem, row: Parameters<typeof unwrapMasterKey>[1]): Buffer => {
  const unwrapped = unwrapMasterKey({ default: system.kek, byId: new Map() }, row);
  if (!unwrapped.ok) throw new Error('the vault does not open');
  return unwrapped.masterKey;
};

function cryptoOf(system: BenchSystem, user: WebAppUser, noteIds: readonly string[]) {
  const row = { ...wrapMasterKey(system.kek, user.masterKey), kekId: 'env-v1', zeroKnowledge: false };
  return () => mint(system, user, unwrap(system, row), noteIds);
}

/** The same transactions as the API's, in the same order, and nothing besides. */
function withDatabase({ databases, ...rest }: BenchSystem, user: WebAppUser, noteIds: readonly string[]) {
  const system = { databases, ...rest };
  const { userId } = user;
  const access = {
    action: 'ai-mission-grant',
    context: 'bench',
    ipAddress: '127.0.0.1',
    userAgent: null,
    status: 200,
  } as const;
  return async () => {
    const row = await databases.apiAuth.asUser(userId, (tx) => findVault(tx));
    if (row === null) throw new Error('the user has no vault');
    const masterKey = unwrap(system, row);
    await databases.apiAuth.asUser(userId, (tx) => recordVaultAccess(tx, access));
    const { grant, keyId, wrappedKeySha256 } = mint(system, user, masterKey, noteIds);
    const { derivation, issuedAt, expiresAt } = grant;
    const missionId = toMissionId(derivation.missionId);
    await databases.apiSync.asUser(userId, async (tx) => {
      lockMission(tx, missionId);
      await enterMintedGrant(tx, {
        wrappedKeySha256,
        missionId,
        version: derivation.version,
        tables: derivation.tables,
        recordIds: derivation.recordIds,
        keyId,
        issuedAtIso: issuedAt,
        expiresAtIso: expiresAt,
      });
      await saveTimeZone(tx, missionId, 'Europe/Berlin');
    });
  };
}
