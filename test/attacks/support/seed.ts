import fc, { type Arbitrary } from 'fast-check';

/** `bin/test --all` attacks for minutes, `bin/test` with as much as shows the same. */
export const IS_LONG_FORM = process.env['ATTACKS'] === 'long';

/** The worlds of this run: everything random in them comes from the seed, so that a world can be attacked with again. */
export const SEED = integerOf('ATTACK_SEED', 10_000_019);
export const RUNS = integerOf('ATTACK_RUNS', IS_LONG_FORM ? 10 : 1);

function integerOf(name: string, byDefault: number): number {
  const text = process.env[name];
  if (text === undefined || text === '') return byDefault;
  if (!/^\d{1,9}$/.test(text))
    throw new Error(`${name}: found ${text}, expected a number of up to nine digits`);
  return Number(text);
}

/** The world of this number, whatever the others are. */
export function sampleOf<T>(arbitrary: Arbitrary<T>, number: number): T {
  const [value] = fc.sample(arbitrary, { seed: SEED + number, numRuns: 1 });
  if (value === undefined) throw new Error('nothing was generated');
  return value;
}
