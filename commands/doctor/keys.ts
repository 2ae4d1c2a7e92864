import { createHash, timingSafeEqual } from 'node:crypto';
import type { Config } from '#config.ts';
import { publicKeyId } from '#crypto/key-id.ts';
import { fault, ok, unchecked, warning, type DoctorCheck, type Judgement } from '../finding.ts';

/** Keys that several processes hold halves or copies of; by their ids, never their values. */
export const keyChecks = (configs: readonly Config[]): DoctorCheck[] => [
  { name: 'grant keys', look: () => Promise.resolve(grantKeys(configs)) },
  { name: 'vault keys', look: () => Promise.resolve(vaultKeys(configs)) },
  { name: 'service keys', look: () => Promise.resolve(serviceKeys(configs)) },
];

const apiOf = (configs: readonly Config[]) => configs.find((config) => 'api' in config)?.api;
const vaultOf = (configs: readonly Config[]) => configs.find((config) => 'vault' in config)?.vault;
const runnerOf = (configs: readonly Config[]) => configs.find((config) => 'runner' in config)?.runner;

function grantKeys(configs: readonly Config[]): Judgement {
  const publicKey = apiOf(configs)?.grantPublicKey ?? null;
  const privateKeys = runnerOf(configs)?.grantPrivateKeys ?? [];
  const ids = privateKeys.map(publicKeyId);
  if (publicKey === null && ids.length === 0)
    return unchecked('neither the public nor a private key is here');
  if (publicKey === null) {
    return unchecked(
      `the runner opens grants of ${ids.join(', ')}; the public key is not here`,
      'compare with --process api',
    );
  }
  const id = publicKeyId(publicKey);
  if (ids.length === 0) {
    return unchecked(
      `the API mints grants under ${id}; no private key is here`,
      'compare with --process runner',
    );
  }
  return ids.includes(id)
    ? ok(`the API mints under ${id}; the runner opens ${ids.join(', ')}`)
    : fault(
        `the API mints under ${id}, which the runner cannot open: it has ${ids.join(', ')}`,
        'give the runner the private key of that pair first, the API its public key after that',
      );
}

function vaultKeys(configs: readonly Config[]): Judgement {
  const rings = [
    { part: 'API', keks: apiOf(configs)?.keks },
    { part: 'vault worker', keks: vaultOf(configs)?.keks },
  ].flatMap(({ part, keks }) => (keks === undefined ? [] : [{ part, keks }]));
  const [first, second] = rings;
  if (first === undefined) return unchecked('neither API nor vault worker can be judged here');
  const bare = rings.find(({ keks }) => keks.default === null && keks.byId.size === 0);
  if (bare !== undefined) {
    return fault(
      `${bare.part}: no key is set, no vault can be opened`,
      'set MANA_AUTH_KEK or MANA_AUTH_KEKS to what mana-auth has',
    );
  }
  const named = ({ keks }: typeof first): string =>
    [...(keks.default === null ? [] : ['the default']), ...keks.byId.keys()].join(', ');
  if (second === undefined)
    return ok(`${first.part}: ${named(first)}; whether they open vaults shows with the first grant`);
  const isSame = (one: Buffer | null, other: Buffer | null): boolean =>
    one === null || other === null ? one === other : timingSafeEqual(one, other);
  const areSame =
    isSame(first.keks.default, second.keks.default) &&
    first.keks.byId.size === second.keks.byId.size &&
    [...first.keks.byId].every(([id, key]) => isSame(key, second.keks.byId.get(id) ?? null));
  return areSame
    ? ok(
        `API and vault worker have the same: ${named(first)}; whether they open vaults shows with the first grant`,
      )
    : fault(
        `API and vault worker have different keys: ${named(first)}; ${named(second)}`,
        'give both the same',
      );
}

function serviceKeys(configs: readonly Config[]): Judgement {
  const hashes = apiOf(configs)?.serviceKeySha256;
  const key = runnerOf(configs)?.gateway.serviceKey;
  if (hashes !== undefined && hashes.length === 0) {
    return warning(
      'MANA_SERVICE_KEY_SHA256 is not set: no other service gets in, /internal/tick and the API’s /metrics included',
      'set it to the SHA-256 in hex of the key that services send',
    );
  }
  if (hashes === undefined || key === undefined) {
    return unchecked('the key that the runner sends and the hash of what the API takes are not both here');
  }
  const sent = createHash('sha256').update(key).digest();
  return hashes.some((hash) => hash.equals(sent))
    ? ok('the API takes the key that the runner sends to others')
    : warning(
        'the API takes another key than the one that the runner sends to others',
        'right where callers of this API and the gateway were given different keys; else hash the present one anew',
      );
}
