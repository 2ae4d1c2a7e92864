import type { RunScope } from './run-scope.ts';
import { decryptRunNote, encryptRunNote, type NoteContext } from '#crypto/transcript.ts';
import { readRunNote, replaceRunNote, type RunNoteKind } from '#db/run-storage.ts';
import type { RunRef } from '#domain/run/run.ts';

/** Keeps a note until the run ends, encrypted like its rounds; an earlier one of its kind goes. */
export async function storeNote({ tx, run, key }: RunScope, kind: RunNoteKind, note: unknown): Promise<void> {
  const entry = encryptRunNote(key, contextOf(run, kind), note);
  await replaceRunNote(tx, {
    iterationId: run.iterationId,
    missionId: run.missionId,
    kind,
    entry,
  });
}

/** Null when there is none, or it does not open: another grant, a lost key. Its shape is the caller's to check. */
export async function readNote({ tx, run, key }: RunScope, kind: RunNoteKind): Promise<unknown> {
  const entry = await readRunNote(tx, run.iterationId, kind);
  return entry === null ? null : decryptRunNote(key, contextOf(run, kind), entry);
}

const contextOf = (run: RunRef, kind: RunNoteKind): NoteContext => ({
  userId: run.userId,
  missionId: run.missionId,
  iterationId: run.iterationId,
  kind,
});
