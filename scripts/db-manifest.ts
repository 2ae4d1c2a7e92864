/**
 * Keeps `migrations/manifest.json`: what the migrations make of an empty platform. `--write` generates it from a freshly
 * migrated database of its own, `--check` fails when the file differs.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { writeOrCheck } from '#dev/command-line.ts';
import { provisionPlatform } from '#dev/databases.ts';
import { withClient } from '#dev/platform-schema.ts';
import { startPostgres } from '#dev/postgres.ts';
import { describePlatform, manifestFile, manifestText } from '#migrations/manifest.ts';

const file = resolve(import.meta.dirname, '..', 'migrations', manifestFile);

async function freshManifest(): Promise<string> {
  const cluster = await startPostgres();
  try {
    const { superuser } = await provisionPlatform(cluster);
    return await withClient(superuser.syncUrl, (sync) =>
      withClient(superuser.authUrl, async (auth) => manifestText(await describePlatform(sync, auth))),
    );
  } finally {
    await cluster.stop();
  }
}

const wish = writeOrCheck(
  'node scripts/db-manifest.ts',
  'Keeps migrations/manifest.json, which says what the migrations make.',
);
if (wish === 'write') {
  writeFileSync(file, await freshManifest());
} else if ((await freshManifest()) !== readFileSync(file, 'utf8')) {
  console.error(
    'migrations/manifest.json is not what the migrations make: run "bin/yarn db:manifest" and look at the difference',
  );
  process.exitCode = 1;
}
