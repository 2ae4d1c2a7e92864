import type { RunScope } from './run-scope.ts';
import { decryptTranscriptEntry, encryptTranscriptEntry, transcriptKeyId } from '#crypto/transcript.ts';
import { claimCall, readEntries, storeEntry } from '#db/model-calls.ts';
import { storedRoundSchema, type StoredRound } from '#domain/planner/plan/stored-round.ts';
import type { RunRef } from '#domain/run/run.ts';

/**
 * Reads the rounds done so far, in order and without gaps. What does not open is another key's, and stays for whoever has
 * that one: it was paid for.
 */
export async function readRounds({ tx, run, key }: RunScope): Promise<StoredRound[]> {
  const entries: StoredRound[] = [];
  for (const row of await readEntries(tx, run.iterationId, transcriptKeyId(key))) {
    if (row.round !== entries.length + 1) continue;
    const opened = decryptTranscriptEntry(key, contextOf(run, row.round), row.entry);
    const entry = storedRoundSchema.safeParse(opened);
    if (entry.success) entries.push(entry.data);
  }
  return entries;
}

/** Stores what a round came to, unless an earlier attempt did: that one's reply was paid for first. */
export async function storeRound(
  { tx, run, key }: RunScope,
  round: number,
  entry: StoredRound,
): Promise<boolean> {
  const call = { ...run, keyId: transcriptKeyId(key), round, purpose: 'plan' as const };
  const encrypted = encryptTranscriptEntry(key, contextOf(run, round), entry);
  if (await storeEntry(tx, call, encrypted)) return true;
  // Another attempt's stands there, or nothing does: of a round that is not asked any more.
  await claimCall(tx, call);
  return storeEntry(tx, call, encrypted);
}

const contextOf = (run: RunRef, round: number) => ({
  userId: run.userId,
  missionId: run.missionId,
  iterationId: run.iterationId,
  round,
});
