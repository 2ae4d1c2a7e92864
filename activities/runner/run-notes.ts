import { decryptRunNote, encryptRunNote } from '../../crypto/transcript.ts';
import type { NoteContext } from '../../crypto/transcript.ts';
import type { UserTransaction } from '../../db/client.ts';
import { readRunNote, replaceRunNote } from '../../db/run-storage.ts';
import type { RunNoteKind } from '../../db/run-storage.ts';
import { toIterationId, toMissionId } from '../../domain/ids.ts';
import type { UserId } from '../../domain/ids.ts';
import type { RunRef } from '../../domain/run.ts';

/** Keeps a note until the run ends, encrypted like its rounds; an earlier one of its kind goes. */
export async function storeNote(
  tx: UserTransaction,
  userId: UserId,
  run: RunRef,
  key: Buffer,
  kind: RunNoteKind,
  note: unknown,
): Promise<void> {
  const entry = encryptRunNote(key, contextOf(userId, run, kind), note);
  await replaceRunNote(tx, userId, {
    iterationId: run.iterationId,
    missionId: run.missionId,
    kind,
    entry,
  });
}

/** Null when there is none, or it does not open: another grant, a lost key. Its shape is the caller's to check. */
export async function readNote(
  tx: UserTransaction,
  userId: UserId,
  run: RunRef,
  key: Buffer,
  kind: RunNoteKind,
): Promise<unknown> {
  const entry = await readRunNote(tx, userId, run.iterationId, kind);
  return entry === null ? null : decryptRunNote(key, contextOf(userId, run, kind), entry);
}

const contextOf = (userId: UserId, run: RunRef, kind: RunNoteKind): NoteContext => ({
  userId,
  missionId: toMissionId(run.missionId),
  iterationId: toIterationId(run.iterationId),
  kind,
});
