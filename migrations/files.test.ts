import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readMigrationFiles, MigrationRefusedError } from './files.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mana-migration-files-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const write = (...fileNames: string[]): void => {
  for (const fileName of fileNames) writeFileSync(join(folder, fileName), 'select 1;');
};

describe('the files of a folder', () => {
  it('come in the order of their numbers', () => {
    write('000002_b.sql', '000001_z.sql', '000003_a_c.sql');
    expect(readMigrationFiles(folder).map(({ id, name }) => [id, name])).toEqual([
      [1, 'z'],
      [2, 'b'],
      [3, 'a_c'],
    ]);
  });

  it('run in a transaction, unless their first line says otherwise', () => {
    write('000001_a.sql');
    writeFileSync(join(folder, '000002_b.sql'), '-- postgres-migrations disable-transaction\nselect 1;');
    expect(readMigrationFiles(folder).map(({ inTransaction }) => inTransaction)).toEqual([true, false]);
  });

  it.each([
    ['a number that is missing', ['000001_a.sql', '000003_c.sql'], '000003_c.sql'],
    ['a number that two branches took', ['000001_a.sql', '000001_b.sql'], '000001_b.sql'],
    ['another beginning than one', ['000000_a.sql'], '000000_a.sql'],
    ['a short number', ['1_a.sql'], '1_a.sql'],
    ['something else', ['000001_a.sql', '000002_b.sql.orig'], '000002_b.sql.orig'],
  ])('with %s are refused by name', (_what, fileNames, named) => {
    write(...fileNames);
    const read = () => readMigrationFiles(folder);
    expect(read).toThrow(MigrationRefusedError);
    expect(read).toThrow(`${named}: found this file where`);
  });
});
