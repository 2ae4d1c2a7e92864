import { createHash } from 'node:crypto';
import type { Config } from '#config.ts';
import { publicKeyId } from '#crypto/key-id.ts';
import type { LiveGrants } from '#db/maintenance.ts';
import type { OpenUnderKey } from '#runs/codec-keys-in-use.ts';
import type { SchedulesUnderKey } from '#schedules/codec-keys-in-use.ts';

/**
 * `done`, `next` or `later`, judged by what is found; `maybe`: what is found fits two states, and the text says which; `unchecked`:
 * it cannot be seen from here.
 */
export type StepState = 'done' | 'next' | 'later' | 'maybe' | 'unchecked';

/** A step of a key's rotation. Key ids and counts, never a value. */
export interface RotationStep {
  readonly step: number;
  readonly what: string;
  readonly state: StepState;
  readonly found: string;
  readonly how: string;
}
type Judged = Omit<RotationStep, 'step' | 'state'> & {
  readonly state: Exclude<StepState, 'next' | 'later'> | 'open';
};

/** The first step that is open is the next one, and those behind it come later. */
function inOrder(steps: readonly Judged[]): RotationStep[] {
  const nextAt = steps.findIndex(({ state }) => state === 'open');
  return steps.map((step, index) => ({
    ...step,
    step: index + 1,
    state: step.state !== 'open' ? step.state : index === nextAt ? 'next' : 'later',
  }));
}

/** Where no second key is known, a rotation is over, or has not begun. */
const nothingToDo = (what: string, how: string): Judged => ({
  what,
  state: 'open',
  found: 'nothing yet',
  how,
});

/** docs/operations.md, Rotating codec keys. @param ids of `TEMPORAL_CODEC_KEYS`, the first encrypts */
export function codecSteps(
  ids: readonly string[],
  schedules: readonly SchedulesUnderKey[],
  openRuns: readonly OpenUnderKey[],
): RotationStep[] {
  const [first = '', ...others] = ids;
  const under = (keyId: string | null): boolean => keyId !== first;
  const left = schedules.filter(({ keyId }) => under(keyId)).reduce((sum, each) => sum + each.schedules, 0);
  const old = openRuns.filter(({ keyId }) => keyId !== null && keyId !== '' && under(keyId));
  const runs = old.reduce((sum, each) => sum + each.runs, 0);
  const isSwitched = left > 0 || runs > 0;
  const second = others.join(', ');
  const unclear = {
    state: 'maybe',
    found: `${first} is the first, and nothing that is open is under ${second}`,
  } as const;
  return inOrder([
    others.length > 0
      ? { what: 'both keys everywhere', state: 'done', found: `${first}, ${second}`, how: '' }
      : nothingToDo(
          'both keys everywhere',
          'add <new id>:$(openssl rand -base64 32) as the second to all processes and operators, roll out completely',
        ),
    {
      what: 'the new key first, everywhere',
      ...(others.length === 0
        ? { state: 'open', found: 'one key' }
        : isSwitched
          ? { state: 'done', found: `${first} is the first; others are under ${second}` }
          : unclear),
      how: `if ${second || 'the other'} is the new one: make it the first everywhere, the old one second, the projection last`,
    },
    {
      what: 'schedules under the new key',
      ...(left > 0
        ? { state: 'open', found: `${left} schedules are under another key than ${first}` }
        : {
            state: others.length > 0 && isSwitched ? 'done' : others.length > 0 ? 'maybe' : 'open',
            found: `every schedule is under ${first}`,
          }),
      how: 'bin/yarn missions keys rotate codec --reconcile',
    },
    {
      what: 'no run under the old key',
      ...(runs > 0
        ? {
            state: 'open',
            found: `${runs} open runs began under another key than ${first}, the oldest at ${oldest(old)}`,
          }
        : {
            state: others.length > 0 ? (isSwitched ? 'done' : 'maybe') : 'open',
            found: `no open run began under another key than ${first}`,
          }),
      how: 'wait; runs that were open as the roll-out of step 2 ended have to end, too',
    },
    {
      what: 'the old key away',
      ...(others.length > 0 && !isSwitched
        ? unclear
        : { state: 'open', found: second === '' ? 'one key' : second }),
      how: `if ${second || 'the other'} is the old one: remove it from the workers, then from the API, once the retention of the namespace is over if ended runs shall be readable`,
    },
  ]);
}

const oldest = (runs: readonly OpenUnderKey[]): string =>
  new Date(Math.min(...runs.map(({ oldestStart }) => oldestStart.getTime()))).toISOString();

/** docs/grants.md, Changing keys. @param live null: MAINTENANCE_DATABASE_URL is not set */
export function grantSteps(
  api: Config<'api'>['api'] | undefined,
  runner: Config<'runner'>['runner'] | undefined,
  live: readonly LiveGrants[] | null,
): RotationStep[] {
  const minting = api?.grantPublicKey ? publicKeyId(api.grantPublicKey) : null;
  const opening = runner?.grantPrivateKeys.map(publicKeyId) ?? null;
  const older = live?.filter(({ keyId }) => keyId !== minting) ?? [];
  const count = older.reduce((sum, { grants }) => sum + grants, 0);
  const second = opening?.filter((id) => id !== minting) ?? [];
  const unseen = {
    state: 'unchecked',
    found: 'the keys of API and runner, and the mint log, are not all here',
  } as const;
  const isSeen = minting !== null && opening !== null && live !== null;
  const isSwitched = isSeen && count > 0;
  // The second key is the new one before step 2, and the old one when the rotation is nearly over: what is found is the same.
  const isUnclear = isSeen && !isSwitched && second.length > 0;
  const other = second.join(', ');
  return inOrder([
    {
      what: 'the runner opens both',
      ...(opening === null
        ? unseen
        : {
            state: opening.length > 1 ? 'done' : 'open',
            found: `the runner opens ${opening.join(', ') || 'nothing'}`,
          }),
      how: 'make an RSA-2048 pair, add its private key to MANA_AI_PRIVATE_KEY_PEM behind the old block, roll out the runners',
    },
    {
      what: 'the API mints under the new one',
      ...(isSeen
        ? {
            state: isSwitched ? 'done' : isUnclear ? 'maybe' : 'open',
            found: `the API mints under ${minting}`,
          }
        : unseen),
      how: isUnclear
        ? `if ${other} is the new one: give the API its public key (MANA_AI_PUBLIC_KEY_PEM)`
        : 'give the API the new public key (MANA_AI_PUBLIC_KEY_PEM)',
    },
    {
      what: 'no live grant under the old one',
      ...(live === null || minting === null
        ? unseen
        : count > 0
          ? {
              state: 'open',
              found: `${count} grants under ${older.map(({ keyId }) => keyId ?? 'no noted key').join(', ')} can be used until ${lastOf(older)}`,
            }
          : { state: isUnclear ? 'maybe' : 'open', found: `every live grant is under ${minting}` }),
      how: 'wait: at most 30 days from the change of step 2',
    },
    {
      what: 'the old private key away',
      ...(isSeen ? { state: isUnclear ? 'maybe' : 'open', found: other || 'one key' } : unseen),
      how: isUnclear
        ? `if ${other} is the old one: take its block out of MANA_AI_PRIVATE_KEY_PEM`
        : 'take the old block out of MANA_AI_PRIVATE_KEY_PEM',
    },
  ]);
}

const lastOf = (grants: readonly LiveGrants[]): string =>
  new Date(Math.max(...grants.map(({ lastExpiresAt }) => lastExpiresAt.getTime()))).toISOString();

/** docs/grants.md, Changing keys. Which vaults are under which key only mana-auth's database tells, to its owner. */
export function kekSteps(
  api: Config<'api'>['api'] | undefined,
  vault: Config<'vault'>['vault'] | undefined,
): RotationStep[] {
  const rings = [api?.keks, vault?.keks].filter((ring) => ring !== undefined);
  const named = rings.map(({ byId }) => [...byId.keys()].join(', ') || 'none');
  const haveSecond = rings.length > 0 && rings.every(({ byId }) => byId.size > 0);
  const unseen = { state: 'unchecked', found: 'API and vault worker are not both here' } as const;
  // Row-level security is forced (docs/platform.md section 6): the tables' owner would see no vault, as if all were wrapped anew.
  const COUNT =
    'select kek_id, count(*) from auth.encryption_vaults group by 1, as a superuser or with BYPASSRLS: the owner sees no row';
  return inOrder([
    {
      what: 'API and vault worker have both',
      ...(rings.length < 2
        ? unseen
        : { state: haveSecond ? 'done' : 'open', found: `MANA_AUTH_KEKS names ${named.join('; ')}` }),
      how: 'add the new key to MANA_AUTH_KEKS of both under the id that mana-auth writes, roll out',
    },
    {
      what: 'mana-auth wraps the vaults anew',
      state: 'unchecked',
      found: 'seen in mana-auth’s database alone',
      how: COUNT,
    },
    {
      what: 'the new one as MANA_AUTH_KEK, the old one away',
      ...(rings.length < 2
        ? unseen
        : { state: 'open', found: haveSecond ? 'MANA_AUTH_KEKS is set' : 'MANA_AUTH_KEKS is not set' }),
      how: 'once no vault names the old id: make the new key MANA_AUTH_KEK of both, empty MANA_AUTH_KEKS',
    },
  ]);
}

/** The key between services: this API takes its hash, the runner sends one to the gateway. */
export function serviceSteps(
  api: Config<'api'>['api'] | undefined,
  runner: Config<'runner'>['runner'] | undefined,
  gateway: string | null,
): RotationStep[] {
  const hashes = api?.serviceKeySha256 ?? null;
  const sent = runner === undefined ? null : createHash('sha256').update(runner.gateway.serviceKey).digest();
  const isTaken = sent !== null && hashes?.some((hash) => hash.equals(sent)) === true;
  const unseen = { state: 'unchecked', found: 'API and runner are not both here' } as const;
  return inOrder([
    {
      what: 'the API takes both',
      ...(hashes === null
        ? unseen
        : {
            state: hashes.length > 1 ? 'done' : 'open',
            found: `MANA_SERVICE_KEY_SHA256 has ${hashes.length}`,
          }),
      how: 'add the new key’s SHA-256 behind the old one, separated by a comma, restart the API',
    },
    {
      what: 'the gateway and others take the new one, and callers send it',
      ...(hashes === null || sent === null
        ? unseen
        : {
            state: 'maybe',
            found: `the runner’s key is ${isTaken ? 'among the API’s' : 'none of the API’s'}; the gateway ${gateway ?? 'was not asked'}`,
          }),
      how: 'change it at the services that are called, then MANA_SERVICE_KEY of the runners and of all callers of this API',
    },
    {
      what: 'the old hash away',
      ...(hashes === null
        ? unseen
        : { state: 'open', found: `MANA_SERVICE_KEY_SHA256 has ${hashes.length}` }),
      how: 'leave the new hash alone in MANA_SERVICE_KEY_SHA256, restart the API',
    },
  ]);
}
