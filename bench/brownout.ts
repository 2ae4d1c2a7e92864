/**
 * `bin/yarn bench:brownout`: ten thousand missions wait while the gateway is overloaded for an hour. Prints the requests that reach it,
 * with the limit of the runners and without. Simulated seconds: the figures are the same on every machine.
 */
import { seededRandom, simulateBrownout, type BrownoutResult } from './brownout/simulate.ts';

const SECONDS = 3_600;
const SEED = 1;

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const most = (values: readonly number[]): number => values.reduce((top, value) => Math.max(top, value), 0);

function rowOf(name: string, { requests, heldBack, doneAfter }: BrownoutResult): readonly unknown[] {
  const during = requests.slice(0, SECONDS);
  return [
    ...[name, sum(during), (sum(during) / SECONDS).toFixed(2), most(during), sum(during.slice(60))],
    ...[heldBack, most(requests.slice(SECONDS)), doneAfter],
  ];
}

const results = [];
for (const isLimited of [true, false]) {
  const result = await simulateBrownout({
    ...{ missions: 10_000, runners: 2, seconds: SECONDS, capacity: 100, isLimited },
    random: seededRandom(SEED),
  });
  results.push(rowOf(isLimited ? 'with the limit' : 'without', result));
}
console.log(
  [
    ['', 'requests in the hour', 'a second', 'most in a second', 'after the first minute'],
    ['held back', 'most in a second afterwards', 'seconds until all are planned'],
  ]
    .flat()
    .join(' | '),
);
for (const row of results) console.log(row.join(' | '));
