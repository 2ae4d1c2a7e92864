/**
 * `node docker/make-secrets.mjs [FOLDER]`: makes the secrets that docker-compose.temporal.yml hands out, each in a file of its own in
 * docker/secrets/ or FOLDER, for a trial. Prints what belongs into docker/compose.env: hashes, and no secret. A file that is
 * there is kept: on the platform, put its MANA_AUTH_KEK, MANA_SERVICE_KEY and connection strings there first.
 *
 * Plain JavaScript without dependencies: it runs on any Node from 20 on.
 */
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const folder = resolve(process.argv[2] ?? join(import.meta.dirname, 'secrets'));
// Nobody else gets into the folder; the files are read in containers by users of other numbers.
mkdirSync(folder, { recursive: true, mode: 0o700 });
chmodSync(folder, 0o700);

/** @returns what stands in the file, made now unless it was there */
function secret(name, make) {
  const file = join(folder, name);
  if (!existsSync(file)) writeFileSync(file, `${make()}\n`, { mode: 0o444, flag: 'wx' });
  return readFileSync(file, 'utf8').trim();
}
const key = () => randomBytes(32).toString('base64');
const password = () => randomBytes(24).toString('hex');
const passwordOf = (user) => secret(`DATABASE_PASSWORD_${user.toUpperCase()}`, password);
const url = (name, user, passwordName, database) =>
  secret(name, () => `postgres://${user}:${passwordOf(passwordName)}@postgresql:5432/${database}`);

for (const user of ['superuser', 'temporal', 'maintenance']) passwordOf(user);
url('MIGRATE_DATABASE_URL', 'mana_sync_owner', 'sync_owner', 'mana_sync');
url('MIGRATE_AUTH_DATABASE_URL', 'mana_auth_owner', 'auth_owner', 'mana_platform');
for (const process of ['api', 'vault', 'runner', 'projection'])
  url(`SYNC_DATABASE_URL_${process.toUpperCase()}`, `missions_${process}`, process, 'mana_sync');
for (const process of ['api', 'vault'])
  url(`AUTH_DATABASE_URL_${process.toUpperCase()}`, `missions_${process}`, process, 'mana_platform');

secret('TEMPORAL_CODEC_KEYS', () => `trial-1:${key()}`);
secret('MANA_AUTH_KEK', key);
const pair = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
});
const [hasPrivate, hasPublic] = ['MANA_AI_PRIVATE_KEY_PEM', 'MANA_AI_PUBLIC_KEY_PEM'].map((name) =>
  existsSync(join(folder, name)),
);
if (hasPrivate !== hasPublic)
  throw new Error(
    'MANA_AI_PRIVATE_KEY_PEM and MANA_AI_PUBLIC_KEY_PEM belong together: give both, or neither',
  );
secret('MANA_AI_PRIVATE_KEY_PEM', () => pair.privateKey.trim());
secret('MANA_AI_PUBLIC_KEY_PEM', () => pair.publicKey.trim());

const sha256 = (text) => createHash('sha256').update(text).digest('hex');
process.stdout.write(`MANA_SERVICE_KEY_SHA256=${sha256(secret('MANA_SERVICE_KEY', password))}\n`);
process.stdout.write(`OPERATOR_TOKEN_SHA256=${sha256(secret('OPERATOR_TOKEN', key))}\n`);
process.stderr.write(
  `The secrets are in ${folder}; OPERATOR_TOKEN there is for people and mounted nowhere.\n`,
);
