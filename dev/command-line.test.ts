import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { describe, expect, it, test } from 'vitest';
import { numberAboveZero, someOf, wholeNumber } from './command-line.ts';

const root = resolve(import.meta.dirname, '..');
const run = (command: string) =>
  spawnSync(process.execPath, command.split(' '), { cwd: root, encoding: 'utf8' });

describe('the value of an option', () => {
  test.each(['1', '0.5', '1e3'])('%s is a number above 0', (text) =>
    expect(numberAboveZero(text)).toBe(Number(text)),
  );
  test.each(['0', '-1', 'x', '', 'Infinity'])('%j is none', (text) =>
    expect(() => numberAboveZero(text)).toThrow('expected a number above 0'),
  );
  test.each(['1', '30'])('%s is a whole number from 1 to 30', (text) =>
    expect(wholeNumber(1, 30)(text)).toBe(Number(text)),
  );
  test.each(['0', '31', '1.5', '0x1', ' 1', ''])('%j is none', (text) =>
    expect(() => wholeNumber(1, 30)(text)).toThrow('expected a whole number from 1 to 30'),
  );
  test('is some of the names that are allowed', () => {
    expect(someOf(['a', 'b', 'c'])('c,a')).toEqual(['c', 'a']);
    expect(() => someOf(['a', 'b'])('a,x')).toThrow('found x, expected some of a, b');
    expect(() => someOf(['a', 'b'])('')).toThrow('found , expected some of a, b');
  });
});

describe('a command', () => {
  it.each([
    ['scripts/soak.ts --help', 'bin/yarn test:soak [options]'],
    ['bench/run.ts -h', 'bin/yarn bench [options] [part...]'],
  ])('%s says how it is used', (command, usage) => {
    const { status, stdout } = run(command);
    expect({ status, stdout }).toEqual({ status: 0, stdout: expect.stringContaining(usage) as string });
  });

  it.each([
    ['scripts/soak.ts --minutes soon', "'soon' is invalid. expected a number above 0"],
    ['scripts/faults-long.ts --parts network,moon', 'found moon, expected some of processes'],
    ['scripts/demo.ts --api-port 70000', 'expected a whole number from 1 to 65535'],
    ['scripts/openapi.ts', 'give either --write or --check'],
    ['bench/run.ts mission', "'mission' is invalid"],
  ])('%s begins nothing, says what is allowed, and ends with 2', (command, said) => {
    const { status, stdout, stderr } = run(command);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain(said);
  });
});
