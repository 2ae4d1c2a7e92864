import { createHash } from 'node:crypto';

/**
 * Which of the names a key belongs to: the one whose hash with it is highest (rendezvous hashing). A name more takes over its
 * share of the keys, a name less gives its own away, and no other key changes its name. The order of the names is of no weight.
 * Changing the hash would move nearly every key.
 *
 * @param names at least one, each once
 */
export function rendezvous(key: string, names: readonly string[]): string {
  const [first] = names.map((name) => ({ name, weight: weightOf(key, name) })).sort(byWeight);
  if (first === undefined) throw new RangeError('rendezvous: found no name');
  return first.name;
}

const weightOf = (key: string, name: string): Buffer =>
  createHash('sha256')
    .update(JSON.stringify([name, key]))
    .digest();

const byWeight = (one: { readonly weight: Buffer }, other: { readonly weight: Buffer }): number =>
  Buffer.compare(other.weight, one.weight);
