import { toIterationId, toMissionId, toWorkflowRunId, type WorkflowRunId } from '#domain/base/ids.ts';
import { constants, privateDecrypt, randomUUID } from 'node:crypto';
import type { Table } from './results/result.ts';
import { measure, timingTable, type Variant } from './measure.ts';
import { writeBenchMission, type BenchMission, type BenchSystem } from './system.ts';
import { readContents } from '#activities/runner/run-contents.ts';
import { resolvePrompt } from '#activities/runner/round/prompt.ts';
import { sealInputs } from '#activities/vault/seal-inputs.ts';
import { decryptFieldValue } from '#crypto/field-value.ts';
import { grantLabel } from '#crypto/grant-label.ts';
import { deriveMissionDataKey } from '#crypto/mission-data-key.ts';
import { unsealRecord, sealRecord, type SealContext } from '#crypto/sealed-record.ts';
import { unwrapGrant } from '#crypto/unwrap-grant.ts';
import { readMission } from '#db/missions.ts';
import { claimMissionSlot, setSlotIteration } from '#db/run-slots.ts';
import { releaseAndForget } from '#db/run-storage.ts';
import type { RunRef } from '#domain/run/run.ts';

const RECORD_BYTES = 2048;
const UNWRAP_WARM_UPS = 10;

export interface SealSizes {
  readonly records: number;
  readonly samples: number;
  readonly warmUps: number;
  readonly unwraps: number;
}

/** Sealing and opening so many records of 2 kB by the activities' functions, and unwrapping a grant; next to bare crypto. */
export async function benchSealAndOpen(system: BenchSystem, sizes: SealSizes): Promise<Table[]> {
  const mission = await writeBenchMission(system, { records: sizes.records, recordBytes: RECORD_BYTES });
  const mdk = deriveMissionDataKey({
    ...mission.grant,
    masterKey: mission.user.masterKey,
    userId: mission.user.userId,
  });
  const sealed = await measure(sealing(system, mission, mdk), sizes);
  const opened = await measure(await opening(system, mission, mdk), sizes);
  const unwraps = { samples: sizes.unwraps, warmUps: UNWRAP_WARM_UPS };
  const unwrapped = await measure(unwrapping(system, mission), unwraps);
  const records = `${sizes.records} records of ${RECORD_BYTES} bytes`;
  return [
    timingTable(`Seal ${records}`, sealed, [SEAL_CRYPTO]),
    timingTable(`Open ${records}`, opened, [OPEN_CRYPTO]),
    timingTable(`Unwrap a grant of ${sizes.records} records`, unwrapped, [UNWRAP_CRYPTO]),
  ];
}

const SEAL_CRYPTO = 'bare crypto: decrypt and seal each field';
const OPEN_CRYPTO = 'bare crypto: open each record';
const UNWRAP_CRYPTO = 'bare crypto: RSA-OAEP';

const newRun = ({ user, missionId }: BenchMission): RunRef => ({
  userId: user.userId,
  missionId: toMissionId(missionId),
  iterationId: toIterationId(randomUUID()),
  runId: toWorkflowRunId(randomUUID()),
});

/** One that holds its mission, as after its load. */
async function holdingRun(
  { runner }: Pick<BenchSystem['databases'], 'runner'>,
  mission: BenchMission,
): Promise<RunRef> {
  const run = newRun(mission);
  await runner.asUser(run.userId, async (tx) => {
    await claimMissionSlot(tx, { ...run, workflowId: run.runId });
    setSlotIteration(tx, run);
  });
  return run;
}

const contextOf = (
  { user, missionId }: BenchMission,
  runId: WorkflowRunId,
  recordId: string,
): SealContext => ({
  userId: user.userId,
  missionId: toMissionId(missionId),
  runId,
  table: 'notes',
  recordId,
});

function sealAll(mission: BenchMission, mdk: Buffer, runId: WorkflowRunId): Buffer[] {
  return mission.noteIds.map((id) => {
    const decrypted = decryptFieldValue(mission.user.masterKey, mission.encryptedContent);
    if (!decrypted.ok) throw new Error('a field does not open');
    return sealRecord(mdk, contextOf(mission, runId, id), { content: decrypted.value });
  });
}

/** With the grant's check, the vault, the records' rows, and an audit row and a sealed row for each. */
function sealing({ databases, kek }: BenchSystem, mission: BenchMission, mdk: Buffer): Variant[] {
  const deps = {
    syncDatabase: databases.vaultSync,
    authDatabase: databases.vaultAuth,
    keks: { default: kek, byId: new Map() },
    acceptV1: true,
  };
  let run = newRun(mission);
  return [
    { name: SEAL_CRYPTO, run: () => sealAll(mission, mdk, toWorkflowRunId(randomUUID())) },
    {
      name: 'sealInputs',
      prepare: async () => {
        run = await holdingRun(databases, mission);
      },
      cleanUp: () =>
        databases.runner.asUser(run.userId, (tx) => {
          releaseAndForget(tx, run);
          return Promise.resolve();
        }),
      run: async () => {
        const result = await sealInputs(deps, run);
        // The mission's own fields are one record more.
        if (result.sealed !== mission.noteIds.length + 1)
          throw new Error(`seal: found ${result.sealed} records`);
      },
    },
  ];
}

/** With the sealed rows, the records' rows, their merge, and the prompt made of it all. */
async function opening(
  { databases, kek }: BenchSystem,
  mission: BenchMission,
  mdk: Buffer,
): Promise<Variant[]> {
  const { userId } = mission.user;
  const run = await holdingRun(databases, mission);
  await sealInputs(
    {
      syncDatabase: databases.vaultSync,
      authDatabase: databases.vaultAuth,
      keks: { default: kek, byId: new Map() },
      acceptV1: true,
    },
    run,
  );
  const sealed = sealAll(mission, mdk, run.runId);
  return [
    {
      name: OPEN_CRYPTO,
      run: () => {
        for (const [index, id] of mission.noteIds.entries())
          unsealRecord(mdk, contextOf(mission, run.runId, id), sealed[index] ?? Buffer.alloc(0));
      },
    },
    {
      name: 'resolvePrompt',
      run: () =>
        databases.runner.asUser(userId, async (tx) => {
          const read = await readMission(tx, mission.missionId);
          if (read === null) throw new Error('the mission is gone');
          const scope = { tx, read, key: mdk, run: { ...run, agentId: null, grantUsable: true } };
          const contents = await readContents(scope, null);
          const circumstances = {
            nowMs: Date.now(),
            timeZone: 'UTC',
            research: null,
            budget: null,
            maxRounds: 5,
            fillOf: () => 1,
          };
          const { unreadableInputs } = resolvePrompt(contents, read, circumstances);
          if (unreadableInputs.length > 0) throw new Error('an input was not opened');
        }),
    },
  ];
}

function unwrapping({ privateKey }: BenchSystem, { user, grant }: BenchMission): Variant[] {
  const { userId } = user;
  const wrapped = Buffer.from(grant.wrappedKey, 'base64');
  const label = grantLabel({ ...grant, userId });
  const key = {
    key: privateKey,
    padding: constants.RSA_PKCS1_OAEP_PADDING,
    oaepHash: 'sha256',
    ...(label === undefined ? {} : { oaepLabel: label }),
  };
  return [
    { name: UNWRAP_CRYPTO, run: () => privateDecrypt(key, wrapped) },
    {
      name: 'unwrapGrant',
      run: () => {
        const unwrapped = unwrapGrant({ privateKeys: [privateKey], userId, grant, nowMs: Date.now() });
        if (!unwrapped.ok) throw new Error(`unwrap: ${unwrapped.reason}`);
      },
    },
  ];
}
