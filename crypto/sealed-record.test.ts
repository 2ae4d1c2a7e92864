import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toIterationId, toMissionId, toUserId, toWorkflowRunId } from '#domain/base/ids.ts';
import { decryptBytes, encryptBytes } from './authenticated-encryption.ts';
import { unsealRecord, sealRecord, type SealContext } from './sealed-record.ts';
import { decryptTranscriptEntry, encryptTranscriptEntry, type TranscriptContext } from './transcript.ts';

const mdk = randomBytes(32);
const sealContext: SealContext = {
  userId: toUserId('user-1'),
  missionId: toMissionId('mission-1'),
  runId: toWorkflowRunId('run-1'),
  table: 'notes',
  recordId: 'n1',
};
const transcriptContext: TranscriptContext = {
  userId: toUserId('user-1'),
  missionId: toMissionId('mission-1'),
  iterationId: toIterationId('iteration-1'),
  round: 1,
};

/** All texts that differ from `bytes` in one byte, or in length. */
const tampered = (bytes: Buffer): fc.Arbitrary<Buffer> =>
  fc.oneof(
    fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 })).map(([index, mask]) => {
      const changed = Buffer.from(bytes);
      changed[index] = (changed[index] ?? 0) ^ mask;
      return changed;
    }),
    fc.nat(bytes.length - 1).map((length) => bytes.subarray(0, length)),
    fc.uint8Array({ minLength: 1, maxLength: 20 }).map((more) => Buffer.concat([bytes, more])),
  );

const records = fc.dictionary(fc.string(), fc.jsonValue(), { noNullPrototype: true });

describe('a sealed record', () => {
  const fields = { title: 'Größe 😀', content: 'geheim', count: 3, nothing: null };
  const sealed = sealRecord(mdk, sealContext, fields);

  it('is version, iv, ciphertext and tag, and never twice the same', () => {
    expect(sealed.length).toBe(1 + 12 + Buffer.byteLength(JSON.stringify(fields)) + 16);
    expect(sealed[0]).toBe(1);
    expect(sealed.includes('geheim')).toBe(false);
    expect(sealRecord(mdk, sealContext, fields)).not.toEqual(sealed);
  });

  it('opens to what was sealed', () => {
    fc.assert(
      fc.property(records, (values) => {
        const opened = unsealRecord(mdk, sealContext, sealRecord(mdk, sealContext, values));
        expect(opened).toEqual(JSON.parse(JSON.stringify(values)));
      }),
      { numRuns: 500 },
    );
  });

  it('that holds no object does not open: whoever sealed it, nothing is read of its fields', () => {
    for (const value of [[], ['a'], null, 'text', 7, true]) {
      const odd = sealRecord(mdk, sealContext, value as never);
      expect(unsealRecord(mdk, sealContext, odd), JSON.stringify(value)).toBeNull();
    }
  });

  it('with any byte changed, added or cut does not open', () => {
    fc.assert(
      fc.property(tampered(sealed), (changed) => {
        expect(unsealRecord(mdk, sealContext, changed)).toBeNull();
      }),
      { numRuns: 2000 },
    );
  });

  it('does not open for another user, mission, run, table, record or key', () => {
    for (const name of ['userId', 'missionId', 'runId', 'table', 'recordId'] as const) {
      expect(unsealRecord(mdk, { ...sealContext, [name]: 'other' }, sealed)).toBeNull();
    }
    expect(unsealRecord(randomBytes(32), sealContext, sealed)).toBeNull();
  });

  it('does not open in any other context, however its parts are cut', () => {
    const text = fc.constantFrom('a', 'b', 'a"', '","', 'a,b', '', '\\');
    const contexts = fc.record({
      userId: text.map((name) => toUserId(`u${name}`)),
      missionId: text.map(toMissionId),
      runId: text.map(toWorkflowRunId),
      table: text,
      recordId: text,
    });
    fc.assert(
      fc.property(contexts, contexts, (left, right) => {
        const opened = unsealRecord(mdk, right, sealRecord(mdk, left, fields));
        expect(opened !== null).toBe(JSON.stringify(left) === JSON.stringify(right));
      }),
      { numRuns: 1000 },
    );
  });

  it('does not open as a transcript or under the plain key', () => {
    expect(decryptTranscriptEntry(mdk, transcriptContext, sealed)).toBeNull();
    const aad = JSON.stringify([
      'mana-missions/sealed-record/v1',
      'user-1',
      'mission-1',
      'run-1',
      'notes',
      'n1',
    ]);
    expect(decryptBytes(mdk, aad, sealed)).toBeNull();
  });
});

describe('a transcript entry', () => {
  const encrypted = encryptTranscriptEntry(mdk, transcriptContext, { reply: 'geheim' });

  it('decrypts to what was encrypted', () => {
    expect(decryptTranscriptEntry(mdk, transcriptContext, encrypted)).toEqual({ reply: 'geheim' });
    expect(() => encryptTranscriptEntry(mdk, transcriptContext, undefined)).toThrow(TypeError);
  });

  it('with any byte changed, added or cut does not decrypt', () => {
    fc.assert(
      fc.property(tampered(encrypted), (changed) => {
        expect(decryptTranscriptEntry(mdk, transcriptContext, changed)).toBeNull();
      }),
      { numRuns: 1000 },
    );
  });

  it('does not decrypt for another user, mission, iteration, round or key', () => {
    for (const name of ['userId', 'missionId', 'iterationId', 'round'] as const) {
      const value = name === 'round' ? 2 : 'other';
      expect(decryptTranscriptEntry(mdk, { ...transcriptContext, [name]: value }, encrypted)).toBeNull();
    }
    expect(decryptTranscriptEntry(randomBytes(32), transcriptContext, encrypted)).toBeNull();
  });

  it('does not open as a sealed record', () => {
    expect(unsealRecord(mdk, sealContext, encrypted)).toBeNull();
  });
});

describe('decryptBytes', () => {
  it('never throws on arbitrary bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        expect(decryptBytes(mdk, 'aad', bytes)).toBeNull();
      }),
      { numRuns: 1000 },
    );
  });

  it('takes empty plaintexts and refuses other format versions', () => {
    const sealed = encryptBytes(mdk, 'aad', Buffer.alloc(0));
    expect(decryptBytes(mdk, 'aad', sealed)).toEqual(Buffer.alloc(0));
    sealed[0] = 2;
    expect(decryptBytes(mdk, 'aad', sealed)).toBeNull();
  });
});
