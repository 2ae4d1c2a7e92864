/**
 * Keeps `docs/openapi.json`: the API's description of itself. `--write` generates it, `--check` fails when the file differs.
 * Neither needs a database.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { writeOrCheck } from '#dev/command-line.ts';
import { format, resolveConfig } from 'prettier';
import { buildApp } from '#api/app.ts';
import { openDatabase } from '#db/client.ts';
import { createLogger } from '#logging/logger.ts';

const file = resolve(import.meta.dirname, '..', 'docs', 'openapi.json');

async function describe(): Promise<string> {
  // Pools connect on demand, and describing demands nothing.
  const url = 'postgres://nobody@127.0.0.1:1/none';
  const database = openDatabase({ url, applicationName: 'openapi', maxConnections: 1 });
  const app = await buildApp({
    syncDatabase: database,
    authDatabase: database,
    identity: { jwksUrl: 'http://127.0.0.1:1/jwks', issuer: 'none', audience: 'none' },
    keks: { default: null, byId: new Map() },
    grantPublicKey: null,
    grantMintVersion: 'v2',
    corsOrigins: [],
    trustedProxies: [],
    logger: createLogger('api', 'silent'),
  });
  const { body } = await app.inject('/openapi.json');
  await app.close();
  await database.close();
  return format(body, { ...(await resolveConfig(file)), parser: 'json' });
}

const wish = writeOrCheck('node scripts/openapi.ts', 'Keeps docs/openapi.json, which the API describes.');
const described = await describe();
if (wish === 'write') writeFileSync(file, described);
else if (readFileSync(file, 'utf8') !== described) {
  console.error('docs/openapi.json is not what the API says; run: node scripts/openapi.ts --write');
  process.exit(1);
}
