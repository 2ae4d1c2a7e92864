import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import {
  decryptRunNote,
  decryptTranscriptEntry,
  encryptRunNote,
  encryptTranscriptEntry,
  type NoteContext,
} from './transcript.ts';
import { toIterationId, toMissionId, toUserId } from '#domain/base/ids.ts';

const key = randomBytes(32);
const run = {
  userId: toUserId('user-1'),
  missionId: toMissionId('mission-1'),
  iterationId: toIterationId('iteration-1'),
};
const context: NoteContext = { ...run, kind: 'research' };
const note = { text: 'Grüße', urls: ['https://a.example'] };

it('a note opens where it belongs, and nowhere else', () => {
  const encrypted = encryptRunNote(key, context, note);
  expect(decryptRunNote(key, context, encrypted)).toEqual(note);
  const elsewhere: NoteContext[] = [
    { ...context, userId: toUserId('user-2') },
    { ...context, missionId: toMissionId('mission-2') },
    { ...context, iterationId: toIterationId('iteration-2') },
    { ...context, kind: 'compaction' },
  ];
  for (const other of elsewhere) expect(decryptRunNote(key, other, encrypted)).toBeNull();
  expect(decryptRunNote(randomBytes(32), context, encrypted)).toBeNull();
  for (const index of encrypted.keys()) {
    const flipped = Buffer.from(encrypted);
    flipped.writeUInt8(flipped.readUInt8(index) ^ 1, index);
    expect(decryptRunNote(key, context, flipped)).toBeNull();
  }
});

it('a note is no transcript entry, nor the reverse', () => {
  const entry = { ...run, round: 1 };
  expect(decryptTranscriptEntry(key, entry, encryptRunNote(key, context, note))).toBeNull();
  expect(decryptRunNote(key, context, encryptTranscriptEntry(key, entry, note))).toBeNull();
});
