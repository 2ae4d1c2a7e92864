import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadMaintenanceConfig, loadPruneConfig, MaintenanceConfigurationError } from './maintenance.ts';
import { foreignVariables } from './zones.ts';
import { publicKeyId } from '#crypto/key-id.ts';

const pair = () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  return {
    publicKey,
    publicPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    privatePem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
};
const [keys, older] = [pair(), pair()];
const MAINTENANCE_DATABASE_URL = 'postgres://operator:s3cret@127.0.0.1:5432/mana_sync';

const problemOf = (load: () => unknown): string => {
  try {
    load();
  } catch (error) {
    if (error instanceof MaintenanceConfigurationError) return error.message;
    throw error;
  }
  return '';
};

describe('the configuration of the audit commands', () => {
  it('to look takes the database alone, and any number of public keys', () => {
    const plain = loadMaintenanceConfig({ MAINTENANCE_DATABASE_URL });
    expect(plain).toEqual({ databaseUrl: MAINTENANCE_DATABASE_URL, checkpointPublicKeys: [] });
    const { checkpointPublicKeys } = loadMaintenanceConfig({
      MAINTENANCE_DATABASE_URL,
      AUDIT_CHECKPOINT_PUBLIC_KEY_PEM: keys.publicPem + older.publicPem,
    });
    expect(checkpointPublicKeys.map(publicKeyId)).toEqual([keys.publicKey, older.publicKey].map(publicKeyId));
  });

  it('to prune takes the private key, which verifies its own checkpoints, beside older keys', () => {
    const config = loadPruneConfig({
      MAINTENANCE_DATABASE_URL,
      AUDIT_CHECKPOINT_PRIVATE_KEY_PEM: keys.privatePem.replaceAll('\n', '\\n'),
      AUDIT_CHECKPOINT_PUBLIC_KEY_PEM: older.publicPem,
    });
    expect(config.checkpointPrivateKey.type).toBe('private');
    expect(config.checkpointPublicKeys.map(publicKeyId)).toEqual(
      [keys.publicKey, older.publicKey].map(publicKeyId),
    );
  });

  it('may come from files', () => {
    const directory = mkdtempSync(join(tmpdir(), 'mana-maintenance-'));
    const file = join(directory, 'value');
    writeFileSync(file, `${MAINTENANCE_DATABASE_URL}\n`);
    expect(loadMaintenanceConfig({ MAINTENANCE_DATABASE_URL_FILE: file }).databaseUrl).toBe(
      MAINTENANCE_DATABASE_URL,
    );
    rmSync(directory, { recursive: true });
    expect(problemOf(() => loadMaintenanceConfig({ MAINTENANCE_DATABASE_URL_FILE: file }))).toContain(
      'MAINTENANCE_DATABASE_URL_FILE: names a file that does not exist',
    );
  });

  it('names everything that is wrong, and shows no value', () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    const message = problemOf(() =>
      loadPruneConfig({
        MAINTENANCE_DATABASE_URL: 'mysql://operator:s3cret@h/d',
        AUDIT_CHECKPOINT_PRIVATE_KEY_PEM: rsa.export({ type: 'pkcs8', format: 'pem' }).toString(),
        AUDIT_CHECKPOINT_PUBLIC_KEY_PEM: keys.privatePem,
      }),
    );
    expect(message.split('\n')).toEqual([
      'the configuration of the audit commands cannot be used:',
      '  MAINTENANCE_DATABASE_URL: cannot be used; expected a postgres:// URL with user and database',
      '  AUDIT_CHECKPOINT_PRIVATE_KEY_PEM: cannot be used; expected one Ed25519 private key as PKCS#8 PEM',
      '  AUDIT_CHECKPOINT_PUBLIC_KEY_PEM: cannot be used; expected one or more Ed25519 public keys as SPKI PEM',
    ]);
    expect(problemOf(() => loadPruneConfig({ MAINTENANCE_DATABASE_URL }))).toContain(
      'AUDIT_CHECKPOINT_PRIVATE_KEY_PEM: is not set',
    );
  });

  it('belongs to no process of the service', () => {
    for (const role of ['api', 'vault', 'runner', 'projection'] as const) {
      expect(foreignVariables(role)).toEqual(
        expect.arrayContaining(['MAINTENANCE_DATABASE_URL', 'AUDIT_CHECKPOINT_PRIVATE_KEY_PEM']),
      );
    }
  });
});
