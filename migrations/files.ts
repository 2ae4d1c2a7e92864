import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The migrations cannot be run as they are; the message says what to do. */
export class MigrationRefusedError extends Error {
  override readonly name = 'MigrationRefusedError';
}

export interface MigrationFile {
  readonly fileName: string;
  readonly id: number;
  readonly name: string;
  readonly sql: string;
  /** SHA-1 in hex of file name and text: an edit of what has been run is noticed. */
  readonly hash: string;
  /** `create index concurrently` must not be in one. */
  readonly inTransaction: boolean;
}

/** In the words of the library that ran the first files, which are never edited. */
const WITHOUT_TRANSACTION = '-- postgres-migrations disable-transaction';

/**
 * Reads the files `000001_name.sql`, `000002_…` of a folder.
 *
 * @throws MigrationRefusedError for another name, a number that is missing, and one that is there twice
 */
export const readMigrationFiles = (folder: string): MigrationFile[] =>
  readdirSync(folder)
    .sort()
    .map((fileName, index) => {
      const [, id, name] = /^(\d{6})_(\w+)\.sql$/.exec(fileName) ?? [];
      if (name === undefined || Number(id) !== index + 1) {
        const expected = String(index + 1).padStart(6, '0');
        throw new MigrationRefusedError(
          `${fileName}: found this file where ${expected}_<name>.sql is expected`,
        );
      }
      const sql = readFileSync(join(folder, fileName), 'utf8');
      return {
        fileName,
        id: index + 1,
        name,
        sql,
        hash: createHash('sha1').update(`${fileName}${sql}`).digest('hex'),
        inTransaction: !sql.startsWith(WITHOUT_TRANSACTION),
      };
    });
