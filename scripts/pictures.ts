/**
 * `bin/yarn pictures`: docs/demo.svg, the end of a real `bin/demo`, and docs/iteration.svg, what a device is given of one of its
 * missions. Both are of made-up data; ids and times change with every run.
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { drawText } from './draw-text.ts';
import { iterationsOf } from '#dev/demo/figures.ts';
import { createDemoMissions } from '#dev/demo/missions.ts';
import { watchMissions } from '#dev/demo/watch.ts';
import { startStack } from '#dev/stack.ts';

const root = resolve(import.meta.dirname, '..');
const write = (name: string, title: string, lines: readonly string[]): void => {
  writeFileSync(join(root, 'docs', name), drawText(title, lines));
  console.log(`docs/${name}`);
};

const demo = spawnSync(process.execPath, [join(root, 'scripts/demo.ts')], { encoding: 'utf8' });
if (demo.status !== 0) throw new Error(`bin/demo ended with ${demo.status ?? 'a signal'}:\n${demo.stderr}`);
const printed = demo.stdout.trimEnd().split('\n');
write(
  'demo.svg',
  '$ bin/demo',
  printed.slice(printed.findIndex((line) => line.includes('iteration written'))),
);

const stack = await startStack({ ports: {}, say: () => undefined });
try {
  const data = await createDemoMissions(stack, () => undefined);
  await watchMissions(stack, data, () => undefined);
  const [iteration] = await iterationsOf(stack, data, data.missions[0]?.missionId ?? '');
  write(
    'iteration.svg',
    'an iteration, as every device of the user gets it',
    JSON.stringify(iteration, null, 2).split('\n'),
  );
} finally {
  await stack.stop();
}
