import { execFile } from 'node:child_process';
import { createHash, createPrivateKey, createPublicKey } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { grantLabel } from '#crypto/grant-label.ts';
import { deriveMissionDataKey } from '#crypto/mission-data-key.ts';
import { unwrapGrant } from '#crypto/unwrap-grant.ts';
import { mintGrant } from '#crypto/wrap-grant.ts';
import { canonicalGrantEncoding, type Grant } from '#domain/wire/grant.ts';
import { toMissionId, toUserId, type UserId } from '#domain/base/ids.ts';
import { canonicalEncoding, labelOf, missionDataKey, unwrap } from '#test/support/grant-v2-webcrypto.ts';

interface GrantCase {
  readonly name: string;
  readonly userId: string;
  readonly nowMs: number;
  readonly grant: Grant;
  /** Left out where it is long. */
  readonly canonical?: string;
  readonly canonicalSha256: string;
  readonly label: string;
  readonly mdk: string;
  readonly expect:
    { readonly ok: true; readonly mdk: string } | { readonly ok: false; readonly reason: string };
}
const root = resolve(import.meta.dirname, '..', '..');
const file = join(root, 'test', 'vectors', 'grant-v2.json');
const vectors = JSON.parse(readFileSync(file, 'utf8')) as {
  publicKeyPem: string;
  privateKeyPem: string;
  masterKey: string;
  cases: GrantCase[];
};
const masterKey = Uint8Array.from(Buffer.from(vectors.masterKey, 'base64'));
const privateKey = createPrivateKey(vectors.privateKeyPem);
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const sha256 = (text: string): string => createHash('sha256').update(text, 'utf8').digest('hex');
// One case has an empty user id, which `toUserId` refuses; the encoding is defined for it.
const asUserId = (text: string): UserId => text as UserId;

it('there are 27 vectors', () => {
  expect(vectors.cases).toHaveLength(27);
});

describe.each(vectors.cases)('$name', ({ userId: user, nowMs, grant, ...expected }) => {
  const userId = asUserId(user);

  it('ours: encoding, label, key and unwrapping', () => {
    const binding = { ...grant, userId };
    const encoding = canonicalGrantEncoding(binding);
    if (expected.canonical !== undefined) expect(encoding).toBe(expected.canonical);
    expect(sha256(encoding)).toBe(expected.canonicalSha256);
    expect(grantLabel(binding)?.toString('hex')).toBe(expected.label);
    expect(base64(deriveMissionDataKey({ ...binding, masterKey }))).toBe(expected.mdk);
    const unwrapped = unwrapGrant({ privateKeys: [privateKey], userId, grant, nowMs });
    expect(unwrapped.ok ? { ok: true, mdk: base64(unwrapped.mdk) } : unwrapped).toEqual(expected.expect);
  });

  it('WebCrypto: encoding, label, key and unwrapping', async () => {
    expect(sha256(canonicalEncoding(user, grant))).toBe(expected.canonicalSha256);
    expect(Buffer.from(await labelOf(user, grant)).toString('hex')).toBe(expected.label);
    expect(base64(await missionDataKey(masterKey, user, grant))).toBe(expected.mdk);
    const unwrapped = await unwrap(vectors.privateKeyPem, user, grant);
    if (expected.expect.ok) expect(unwrapped && base64(unwrapped)).toBe(expected.expect.mdk);
    else if (expected.expect.reason === 'wrap-rejected') expect(unwrapped).toBeNull();
  });
});

describe('a second implementation', () => {
  it('in Python confirms every vector, where the machine has Python and its package cryptography', async () => {
    const python = await pythonWithCryptography();
    // Without Python, WebCrypto above is the second implementation; that it ran is checked, not assumed.
    const said =
      python === null
        ? `${vectors.cases.length} cases checked by Node WebCrypto`
        : await python([join(root, 'test', 'python', 'grant_v2.py'), file]);
    console.log(`grant-v2.json: ${said.trim()}`);
    expect(said.trim()).toMatch(/^27 cases checked by (Python cryptography|Node WebCrypto)$/);
  });

  it('unwraps what we mint', async () => {
    const userId = toUserId('user-ü');
    const { grant } = mintGrant({
      ...{ version: 'v2', masterKey, userId, missionId: toMissionId('mission-"1"') },
      ...{ tables: ['notes', 'a,b'], recordIds: ['notes:z', 'notes:🎯', 'notes:～'] },
      ...{
        issuedAtMs: Date.UTC(2026, 0, 5),
        ttlMs: 3_600_001,
        publicKey: createPublicKey(vectors.publicKeyPem),
      },
    });
    const unwrapped = await unwrap(vectors.privateKeyPem, userId, grant);
    expect(unwrapped).toEqual(await missionDataKey(masterKey, userId, grant));
  });
});

type Python = (args: readonly string[]) => Promise<string>;
const run = promisify(execFile);

/** Python with `cryptography`: the machine's, or one that is installed for this run; null where there is none. */
async function pythonWithCryptography(): Promise<Python | null> {
  const python =
    (pythonPath: string): Python =>
    async (args) =>
      (
        await run('python3', [...args], {
          env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1', PYTHONPATH: pythonPath },
          timeout: 200_000,
        })
      ).stdout;
  const imports = (candidate: Python): Promise<boolean> =>
    candidate(['-c', 'import cryptography.hazmat.primitives.kdf.hkdf']).then(
      () => true,
      () => false,
    );
  const installed = python('');
  if (await imports(installed)) return installed;
  const target = mkdtempSync(join(tmpdir(), 'mana-cryptography-'));
  onTestFinished(() => rmSync(target, { recursive: true, force: true }));
  const pip = ['-m', 'pip', 'install', '--quiet', '--no-input', '--only-binary', ':all:', '--target', target];
  await installed([...pip, 'cryptography']).catch(() => null);
  const local = python(target);
  return (await imports(local)) ? local : null;
}
