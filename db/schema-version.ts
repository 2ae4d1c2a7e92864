import { readdirSync } from 'node:fs';

const MIGRATIONS = new URL('../migrations/mana_ai/', import.meta.url);

/** The number of the last migration of schema mana_ai that came with this program. */
export const EXPECTED_SCHEMA_VERSION = Math.max(
  ...readdirSync(MIGRATIONS).map((file) => Number.parseInt(file, 10)),
);
