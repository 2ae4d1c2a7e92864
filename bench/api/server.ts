/** `node bench/api/server.ts product|bare`: a server that mints grants, for `bench/api.ts`. Says where it listens, and a token. */
import Fastify from 'fastify';
import { startBenchSystem, type BenchSystem } from '#bench/system.ts';
import { unwrapMasterKey } from '#crypto/unwrap-master-key.ts';
import { mintGrant } from '#crypto/wrap-grant.ts';
import { wrapMasterKey } from '#dev/wrap-master-key.ts';
import type { WebAppUser } from '#dev/web-app.ts';
import { toMissionId } from '#domain/base/ids.ts';
import { GRANT_TTL_DEFAULT_MS } from '#domain/wire/grant.ts';

const system = await startBenchSystem();
const user = await system.webApp.createUser();
const app = process.argv[2] === 'bare' ? bareServer(system, user) : system.api;
const url = await app.listen({ host: '127.0.0.1', port: 0 });
process.once('SIGTERM', () => void app.close().then(() => system.close()));
console.log(`listening ${JSON.stringify({ url, token: await system.tokenOf(user) })}`);

/** Unwraps the master key, derives, wraps, and asks nobody anything. */
function bareServer({ kek, publicKey }: BenchSystem, { userId, masterKey }: WebAppUser) {
  const row = { ...wrapMasterKey(kek, masterKey), kekId: 'env-v1', zeroKnowledge: false };
  const bare = Fastify();
  bare.post<{ Body: { missionId: string; tables: string[]; recordIds: string[] } }>(
    '/api/v1/me/ai-mission-grant',
    ({ body }) => {
      const unwrapped = unwrapMasterKey({ default: kek, byId: new Map() }, row);
      if (!unwrapped.ok) throw new Error('the vault does not open');
      return mintGrant({
        ...{ version: 'v2', masterKey: unwrapped.masterKey, userId, publicKey },
        ...{ missionId: toMissionId(body.missionId), tables: body.tables, recordIds: body.recordIds },
        ...{ issuedAtMs: Date.now(), ttlMs: GRANT_TTL_DEFAULT_MS },
      }).grant;
    },
  );
  return bare;
}
