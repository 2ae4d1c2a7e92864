import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { waitUntil } from '#test/support/wait-until.ts';
import { followSource } from './source-changes.ts';

let root = '';
let heard: string[] = [];
let stopping = new AbortController();

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'mana-source-changes-'));
  heard = [];
  stopping = new AbortController();
  mkdirSync(join(root, 'domain/run'), { recursive: true });
  for (const name of ['worker.ts', 'beside.ts', 'domain/run/run.ts', 'domain/run/run.test.ts'])
    writeFileSync(join(root, name), '');
  followSource(root, ['domain', 'worker.ts'], (name) => heard.push(name), stopping.signal);
});
afterEach(() => {
  stopping.abort();
  rmSync(root, { recursive: true });
});

/** As editors do that leave no half-written file. */
function replace(name: string): void {
  writeFileSync(join(root, 'new'), 'changed');
  renameSync(join(root, 'new'), join(root, name));
}
const untilHeard = (name: string): Promise<unknown> =>
  waitUntil(`a change of ${name} is heard`, () => heard.includes(name));

it('hears of files that are replaced again and again, in its folders and at the root, and of no others', async () => {
  for (const name of ['worker.ts', 'run.ts', 'worker.ts', 'run.ts', 'worker.ts', 'run.ts']) {
    heard = [];
    replace('beside.ts');
    replace('domain/run/run.test.ts');
    replace(name === 'run.ts' ? 'domain/run/run.ts' : name);
    await untilHeard(name);
    expect(new Set(heard)).toEqual(new Set([name]));
  }
});

it('hears of files in folders that are made later, and made again', async () => {
  for (const time of ['first', 'second']) {
    heard = [];
    mkdirSync(join(root, 'domain/later'));
    await waitUntil(`the ${time} folder is followed`, () => {
      replace('domain/later/later.ts');
      return heard.includes('later.ts');
    });
    rmSync(join(root, 'domain/later'), { recursive: true });
    replace('domain/run/run.ts');
    await untilHeard('run.ts');
  }
});
