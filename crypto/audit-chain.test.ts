import fc from 'fast-check';
import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { auditRowHash, CHAIN_BEGINNING, encodeField, type ChainPosition } from './audit-chain.ts';
import { signCheckpoint, verifyCheckpoint } from './audit-checkpoint.ts';
import { publicKeyId } from './key-id.ts';
import { createChainVerifier, type ChainProblem, type StoredAuditRow } from './audit-verification.ts';
import type { AuditRow } from '#domain/wire/rows.ts';

const RUNS = { numRuns: 1500 };
const USER = 'user-1';

const row: AuditRow = {
  seq: 1n,
  id: 7n,
  userId: USER,
  missionId: 'mission',
  iterationId: null,
  tableName: 'notes',
  recordId: 'note',
  status: 'ok',
  reason: '',
  tsMicros: 1_767_225_600_123_456n,
};

type Content = Omit<AuditRow, 'seq' | 'userId'>;

const text = fc.string({ unit: 'binary', maxLength: 12 });
const content: fc.Arbitrary<Content> = fc.record({
  id: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  missionId: text,
  iterationId: fc.option(text),
  tableName: text,
  recordId: text,
  status: fc.constantFrom('ok', 'failed', 'scope-violation'),
  reason: fc.option(text),
  tsMicros: fc.bigInt({ min: -(2n ** 60n), max: 2n ** 60n }),
});
const contents = (minLength: number) => fc.array(content, { minLength, maxLength: 8 });

/** As the database's trigger does it. */
function chainOf(
  rows: readonly Content[],
  start: ChainPosition = CHAIN_BEGINNING,
  userId = USER,
): StoredAuditRow[] {
  const chain: StoredAuditRow[] = [];
  let last = start;
  for (const each of rows) {
    const chained = { ...each, userId, seq: last.seq + 1n };
    const stored = { ...chained, hash: auditRowHash(chained, last.hash) };
    chain.push(stored);
    last = stored;
  }
  return chain;
}

function problemsOf(rows: readonly StoredAuditRow[], start = CHAIN_BEGINNING): ChainProblem[] {
  const verifier = createChainVerifier(USER, start);
  return rows.flatMap((each) => verifier.check(each));
}
const named = (problems: readonly ChainProblem[]): string[] =>
  problems.map(({ kind, fromSeq, toSeq }) => `${kind} ${fromSeq}-${toSeq}`);

const FIELDS = [
  'id',
  'missionId',
  'iterationId',
  'tableName',
  'recordId',
  'status',
  'reason',
  'tsMicros',
] as const;

describe('the canonical encoding', () => {
  it('is what docs/audit.md says: a fixed row has a fixed hash', () => {
    expect(auditRowHash(row, CHAIN_BEGINNING.hash).toString('hex')).toBe(
      '97936e43620745f5d4b6ed6477e10d27911befb2f97553235666bed33e78cd22',
    );
  });

  it('keeps null and empty apart, and fields that run into each other', () => {
    expect(encodeField(null)).not.toEqual(encodeField(''));
    const shifted = { ...row, missionId: 'missionn', tableName: 'otes' };
    expect(auditRowHash(shifted, CHAIN_BEGINNING.hash)).not.toEqual(auditRowHash(row, CHAIN_BEGINNING.hash));
  });

  it('two different rows never have the same hash', () => {
    fc.assert(
      fc.property(content, content, (a, b) => {
        const same = FIELDS.every((field) => a[field] === b[field]);
        const hash = (of: Content): string =>
          auditRowHash({ ...row, ...of }, CHAIN_BEGINNING.hash).toString('hex');
        expect(hash(a) === hash(b)).toBe(same);
      }),
      RUNS,
    );
  });
});

describe('a chain as it was written', () => {
  it('has nothing wrong, from its beginning and from any checkpoint in it', () => {
    fc.assert(
      fc.property(contents(1), fc.nat(), (rows, at) => {
        const chain = chainOf(rows);
        const start = chain[at % chain.length] ?? CHAIN_BEGINNING;
        expect(problemsOf(chain)).toEqual([]);
        expect(problemsOf(chain.slice((at % chain.length) + 1), start)).toEqual([]);
      }),
      RUNS,
    );
  });

  it('ends where its last row stands', () => {
    const chain = chainOf([row, row, row]);
    const verifier = createChainVerifier(USER, CHAIN_BEGINNING);
    for (const each of chain) verifier.check(each);
    expect(verifier.position()).toEqual({ seq: 3n, hash: chain[2]?.hash });
    expect(createChainVerifier(USER, CHAIN_BEGINNING).position()).toEqual(CHAIN_BEGINNING);
  });
});

describe('in a chain that was tampered with', () => {
  it('a row of which any field was changed is named, and no other', () => {
    fc.assert(
      fc.property(contents(1), content, fc.nat(), fc.constantFrom(...FIELDS), (rows, other, at, field) => {
        const chain = chainOf(rows);
        const index = at % chain.length;
        const stored = chain[index];
        fc.pre(stored !== undefined && stored[field] !== other[field]);
        const tampered = chain.with(index, { ...stored, [field]: other[field] });
        expect(named(problemsOf(tampered))).toEqual([`changed ${index + 1}-${index + 1}`]);
      }),
      RUNS,
    );
  });

  it('a row of which any bit of the hash was changed is named, and no other', () => {
    fc.assert(
      fc.property(contents(1), fc.nat(), fc.nat({ max: 255 }), (rows, at, bit) => {
        const chain = chainOf(rows);
        const index = at % chain.length;
        const stored = chain[index];
        fc.pre(stored !== undefined);
        const hash = Buffer.from(stored.hash);
        hash[bit >> 3] = (hash[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(named(problemsOf(chain.with(index, { ...stored, hash })))).toEqual([
          `changed ${index + 1}-${index + 1}`,
        ]);
      }),
      RUNS,
    );
  });

  it('a row that was changed together with its hash is named with the one that no longer follows it', () => {
    fc.assert(
      fc.property(contents(2), content, fc.nat(), (rows, other, at) => {
        const chain = chainOf(rows);
        const index = at % (chain.length - 1);
        const rewritten = chainOf([...rows.slice(0, index), other])[index];
        fc.pre(rewritten !== undefined && !rewritten.hash.equals(chain[index]?.hash ?? rewritten.hash));
        const [problem, ...others] = problemsOf(chain.with(index, rewritten));
        expect(others).toEqual([]);
        expect(problem?.fromSeq).toBe(BigInt(index + 2));
        expect(problem?.message).toContain(`row ${index + 1} was changed together with its hash`);
      }),
      RUNS,
    );
  });

  it('rows that were removed are named, exactly', () => {
    fc.assert(
      fc.property(contents(2), fc.nat(), fc.nat(), (rows, at, count) => {
        const chain = chainOf(rows);
        const index = at % (chain.length - 1);
        const removed = 1 + (count % (chain.length - 1 - index));
        const problems = problemsOf(chain.toSpliced(index, removed));
        const [first, last] = [index + 1, index + removed];
        expect(named(problems)).toEqual([`removed ${first}-${last}`]);
        expect(problems[0]?.message).toBe(
          removed === 1
            ? `row ${first} was removed; what row ${first + 1} holds cannot be checked without it`
            : `rows ${first} to ${last} were removed; what row ${last + 1} holds cannot be checked without them`,
        );
      }),
      RUNS,
    );
  });

  it('rows that changed places are both named, and none before them', () => {
    fc.assert(
      fc.property(contents(2), fc.nat(), fc.nat(), (rows, a, b) => {
        const chain = chainOf(rows);
        const [first, second] = [a % chain.length, b % chain.length].sort((x, y) => x - y);
        const [one, two] = [chain[first ?? 0], chain[second ?? 0]];
        fc.pre(one !== undefined && two !== undefined && one !== two);
        const swapped = chain
          .with(Number(one.seq) - 1, { ...two, seq: one.seq })
          .with(Number(two.seq) - 1, { ...one, seq: two.seq });
        const names = named(problemsOf(swapped));
        expect(names[0]).toBe(`changed ${one.seq}-${one.seq}`);
        expect(names).toContain(`changed ${two.seq}-${two.seq}`);
      }),
      RUNS,
    );
  });

  it('a row that was inserted is named', () => {
    fc.assert(
      fc.property(contents(1), content, fc.nat(), fc.boolean(), (rows, other, at, shifts) => {
        const chain = chainOf(rows);
        const index = at % chain.length;
        const seq = BigInt(index + 1);
        const hash = chain[index]?.hash ?? Buffer.alloc(32);
        const forged: StoredAuditRow = { ...other, userId: USER, seq, hash: Buffer.from(hash).reverse() };
        const later = chain.slice(index).map((each) => (shifts ? { ...each, seq: each.seq + 1n } : each));
        const names = named(problemsOf([...chain.slice(0, index), forged, ...later]));
        expect(names).toContain(`changed ${seq}-${seq}`);
        if (!shifts) expect(names).toContain(`out-of-place ${seq}-${seq}`);
      }),
      RUNS,
    );
  });

  it("a row of another user's chain is named", () => {
    fc.assert(
      fc.property(contents(1), fc.nat(), (rows, at) => {
        const chain = chainOf(rows);
        const index = at % chain.length;
        const foreign = chainOf(rows, CHAIN_BEGINNING, 'user-2')[index];
        fc.pre(foreign !== undefined);
        for (const userId of ['user-2', USER]) {
          expect(named(problemsOf(chain.with(index, { ...foreign, userId })))[0]).toBe(
            `changed ${index + 1}-${index + 1}`,
          );
        }
      }),
      RUNS,
    );
  });

  it('rows before the checkpoint that were put back are named', () => {
    const chain = chainOf([row, row, row]);
    expect(named(problemsOf(chain, chain[1] ?? CHAIN_BEGINNING))).toEqual([
      'out-of-place 1-1',
      'out-of-place 2-2',
    ]);
  });

  it('rows cut off at the end are not noticed: that takes a head that was kept elsewhere', () => {
    expect(problemsOf(chainOf([row, row, row]).slice(0, 2))).toEqual([]);
  });
});

describe('a signed checkpoint', () => {
  const keys = generateKeyPairSync('ed25519');
  const others = generateKeyPairSync('ed25519');
  const checkpoint = { userId: USER, seq: 5n, hash: Buffer.alloc(32, 7) };
  const signed = signCheckpoint(keys.privateKey, checkpoint);

  it('verifies under its key, whichever others are configured', () => {
    expect(verifyCheckpoint([others.publicKey, keys.publicKey], checkpoint, signed)).toBe('ok');
    expect(signed.keyId).toBe(publicKeyId(keys.publicKey));
  });

  it('is unknown without its key, and refused under the name of another', () => {
    expect(verifyCheckpoint([others.publicKey], checkpoint, signed)).toBe('unknown-key');
    const renamed = { ...signed, keyId: publicKeyId(others.publicKey) };
    expect(verifyCheckpoint([others.publicKey], checkpoint, renamed)).toBe('bad-signature');
  });

  it('does not verify with any bit of it changed, nor for another user or row', () => {
    fc.assert(
      fc.property(
        fc.record({
          userId: fc.oneof(fc.constant(USER), text),
          seq: fc.oneof(fc.constant(5n), fc.bigInt({ min: 1n, max: 2n ** 62n })),
          hashBit: fc.option(fc.nat({ max: 255 })),
          signatureBit: fc.option(fc.nat({ max: 511 })),
        }),
        ({ userId, seq, hashBit, signatureBit }) => {
          const changed = { userId, seq, hash: flipped(checkpoint.hash, hashBit) };
          const same = userId === USER && seq === 5n && hashBit === null && signatureBit === null;
          const outcome = verifyCheckpoint([keys.publicKey], changed, {
            ...signed,
            signature: flipped(signed.signature, signatureBit),
          });
          expect(outcome).toBe(same ? 'ok' : 'bad-signature');
        },
      ),
      RUNS,
    );
  });
});

function flipped(bytes: Buffer, bit: number | null): Buffer {
  const copy = Buffer.from(bytes);
  if (bit !== null) copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return copy;
}
