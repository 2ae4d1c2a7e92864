import { createHash, generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { codecSteps, grantSteps, kekSteps, serviceSteps, type RotationStep } from './rotation.ts';
import { publicKeyId } from '#crypto/key-id.ts';

const states = (steps: readonly RotationStep[]): string => steps.map(({ state }) => state).join(' ');
const schedules = (keyId: string, count: number) => ({ keyId, schedules: count, scheduleId: 's' });
const runs = (keyId: string | null, count: number) => ({ keyId, runs: count, oldestStart: new Date(0) });

describe('the steps of codec keys', () => {
  it.each([
    ['one key', ['a'], [schedules('a', 5)], [], 'next later later later later'],
    ['the second added', ['a', 'b'], [schedules('a', 5)], [runs('a', 1)], 'done maybe maybe maybe maybe'],
    ['the order changed', ['b', 'a'], [schedules('a', 5)], [runs('a', 1)], 'done done next later later'],
    [
      'reconciled',
      ['b', 'a'],
      [schedules('b', 5)],
      [runs('a', 1), runs(null, 2)],
      'done done done next later',
    ],
    [
      'the last run ended, or never switched',
      ['b', 'a'],
      [schedules('b', 5)],
      [runs('b', 1)],
      'done maybe maybe maybe maybe',
    ],
  ])('%s', (_, ids, found, open, expected) => {
    expect(states(codecSteps(ids, found, open))).toBe(expected);
  });

  it('count what is left under the old key', () => {
    const steps = codecSteps(['b', 'a'], [schedules('b', 2), schedules('a', 3)], [runs('a', 4)]);
    expect(steps[2]).toMatchObject({ found: '3 schedules are under another key than b' });
    expect(steps[3]?.found).toBe(
      '4 open runs began under another key than b, the oldest at 1970-01-01T00:00:00.000Z',
    );
  });
});

const pairs = [1, 2].map(() => generateKeyPairSync('rsa', { modulusLength: 2048 }));
type Api = Parameters<typeof grantSteps>[0];
type Runner = Parameters<typeof grantSteps>[1];
const apiWith = (api: object): Api => api as Api;
const runnerWith = (runner: object): Runner => runner as Runner;

describe('the steps of the runner’s key pair', () => {
  const [old, renewed] = pairs as [(typeof pairs)[0], (typeof pairs)[0]];
  const [oldId, newId] = [publicKeyId(old.publicKey), publicKeyId(renewed.publicKey)];
  const live = (...ids: string[]) => ids.map((keyId) => ({ keyId, grants: 2, lastExpiresAt: new Date(0) }));
  it.each([
    ['one pair', old, [old], live(oldId), 'next later later later'],
    ['the runner opens both', old, [old, renewed], live(oldId), 'done maybe maybe maybe'],
    ['the API mints under the new one', renewed, [old, renewed], live(oldId, newId), 'done done next later'],
    ['the old grants have ended', renewed, [old, renewed], live(newId), 'done maybe maybe maybe'],
  ])('%s', (_, minting, opening, found, expected) => {
    const runner = { grantPrivateKeys: opening.map(({ privateKey }) => privateKey) };
    const steps = grantSteps(apiWith({ grantPublicKey: minting.publicKey }), runnerWith(runner), found);
    expect(states(steps)).toBe(expected);
  });

  it('never call it the next one to take the key away that the API is to mint under', () => {
    const runner = runnerWith({ grantPrivateKeys: [old.privateKey, renewed.privateKey] });
    const steps = grantSteps(apiWith({ grantPublicKey: old.publicKey }), runner, live(oldId));
    expect(steps[1]?.how).toContain(`if ${newId} is the new one`);
    expect(steps[3]?.how).toContain(`if ${newId} is the old one`);
  });

  it('are not guessed where a part cannot be seen', () => {
    expect(states(grantSteps(undefined, undefined, null))).toBe('unchecked unchecked unchecked unchecked');
  });
});

describe('the steps of the vaults’ KEK', () => {
  it('begin with both processes, and leave to mana-auth what it alone sees', () => {
    const ring = (...ids: string[]) => ({
      keks: { default: Buffer.alloc(32), byId: new Map(ids.map((id) => [id, Buffer.alloc(32)])) },
    });
    type Vault = Parameters<typeof kekSteps>[1];
    const vaultOf = (vault: object): Vault => vault as Vault;
    const steps = (api: object, vault: object) => kekSteps(apiWith(api), vaultOf(vault));
    expect(states(steps(ring(), ring()))).toBe('next unchecked later');
    expect(states(steps(ring('v2'), ring()))).toBe('next unchecked later');
    expect(states(steps(ring('v2'), ring('v2')))).toBe('done unchecked next');
    // The owner of a table with forced row-level security counts no vault.
    expect(steps(ring('v2'), ring('v2'))[1]?.how).toContain('with BYPASSRLS');
    expect(states(kekSteps(undefined, undefined))).toBe('unchecked unchecked unchecked');
    expect(states(kekSteps(undefined, vaultOf(ring('v2'))))).toBe('unchecked unchecked unchecked');
  });
});

describe('the steps of the key between services', () => {
  const hash = (key: string): Buffer => createHash('sha256').update(key).digest();
  const steps = (hashes: readonly Buffer[], sent: string) =>
    serviceSteps(
      apiWith({ serviceKeySha256: hashes }),
      runnerWith({ gateway: { serviceKey: sent } }),
      'accepts it',
    );
  it('tell how many hashes the API takes, and whether the runner’s key is among them', () => {
    expect(states(steps([hash('old')], 'old'))).toBe('next maybe later');
    expect(states(steps([hash('old'), hash('new')], 'new'))).toBe('done maybe next');
    expect(steps([hash('old')], 'new')[1]?.found).toBe(
      'the runner’s key is none of the API’s; the gateway accepts it',
    );
  });
});
