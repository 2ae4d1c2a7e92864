import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  connect,
  loadTemporalConfig,
  TemporalConfigFileError,
  TemporalUnreachableError,
} from './connection.ts';
import { connectWorker } from './worker-connection.ts';
import { createTemporaryDirectory } from '#dev/guardian.ts';

describe('loadTemporalConfig', () => {
  it('reads all namespaces, and which of them is its own: the first unless set', () => {
    const TEMPORAL_NAMESPACES = 'a,b:closed';
    const namespaces = [
      { name: 'a', isOpen: true },
      { name: 'b', isOpen: false },
    ];
    expect(loadTemporalConfig({ TEMPORAL_NAMESPACES })).toMatchObject({ namespace: 'a', namespaces });
    expect(loadTemporalConfig({ TEMPORAL_NAMESPACES, TEMPORAL_NAMESPACE: 'b' })).toMatchObject({
      ...{ namespace: 'b', namespaces },
    });
    expect(() => loadTemporalConfig({ TEMPORAL_NAMESPACES, TEMPORAL_NAMESPACE: 'c' })).toThrow(
      'TEMPORAL_NAMESPACE: is none of TEMPORAL_NAMESPACES',
    );
  });

  it('without variables it is the local server', () => {
    expect(loadTemporalConfig({})).toEqual({ address: 'localhost:7233', namespace: 'default' });
    expect(loadTemporalConfig({ TEMPORAL_ADDRESS: '', TEMPORAL_API_KEY: undefined })).toEqual({
      address: 'localhost:7233',
      namespace: 'default',
    });
  });

  it('reads the standard variables; an API key brings TLS', () => {
    const config = loadTemporalConfig({
      TEMPORAL_ADDRESS: 'temporal.example:7233',
      TEMPORAL_NAMESPACE: 'missions',
      TEMPORAL_API_KEY: 'key',
      TEMPORAL_GRPC_META_X_TENANT: 'mana',
    });
    expect(config).toMatchObject({
      address: 'temporal.example:7233',
      namespace: 'missions',
      apiKey: 'key',
      tls: true,
      metadata: { 'x-tenant': 'mana' },
    });
  });

  it('takes certificates as data', () => {
    const config = loadTemporalConfig({
      TEMPORAL_TLS: 'true',
      TEMPORAL_TLS_SERVER_NAME: 'temporal',
      TEMPORAL_TLS_SERVER_CA_CERT_DATA: 'ca',
      TEMPORAL_TLS_CLIENT_CERT_DATA: 'cert',
      TEMPORAL_TLS_CLIENT_KEY_DATA: 'key',
    });
    expect(config.tls).toMatchObject({
      serverNameOverride: 'temporal',
      serverRootCACertificate: new TextEncoder().encode('ca'),
      clientCertPair: { crt: new TextEncoder().encode('cert'), key: new TextEncoder().encode('key') },
    });
    expect(loadTemporalConfig({ TEMPORAL_TLS: 'false' }).tls).toBe(false);
  });

  it('a certificate file that does not exist is an error that names it', () => {
    expect(() => loadTemporalConfig({ TEMPORAL_TLS_SERVER_CA_CERT_PATH: '/nowhere/ca.pem' })).toThrow(
      /nowhere/,
    );
  });

  it('a configuration file that is none, or without the profile, is an error that shows nothing of it', () => {
    const directory = createTemporaryDirectory('mana-connection-');
    const problemOf = (text: string, profile = ''): string => {
      const file = join(directory.path, randomUUID());
      writeFileSync(file, text);
      try {
        return loadTemporalConfig({ TEMPORAL_CONFIG_FILE: file, TEMPORAL_PROFILE: profile }).address;
      } catch (error) {
        return error instanceof TemporalConfigFileError ? error.message : String(error);
      }
    };
    const good = '[profile.default]\naddress = "temporal.example:7233"\n';
    const none = 'TEMPORAL_CONFIG_FILE: expected a TOML file of Temporal\'s clients with a profile "default"';
    expect(problemOf(good)).toBe('temporal.example:7233');
    expect(problemOf(good, 'other')).toBe(none.replace('default', 'other'));
    expect(problemOf('key of somebody: secret\n')).toBe(none);
    expect(problemOf('')).toBe(none);
    directory.remove();
  });
});

describe('an unreachable server', () => {
  // Port 1 of the loopback address: nothing listens there.
  const config = { address: '127.0.0.1:1', namespace: 'default' };

  it('ends the first connect of a client within its time, by address', async () => {
    await expect(connect(config, 300)).rejects.toThrow(TemporalUnreachableError);
    await expect(connect(config, 300)).rejects.toThrow(/127\.0\.0\.1:1/);
  });

  it('ends the first connect of a worker within its time', async () => {
    await expect(connectWorker(config, 300)).rejects.toThrow(TemporalUnreachableError);
  });
});
