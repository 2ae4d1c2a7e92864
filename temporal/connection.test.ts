import { describe, expect, it } from 'vitest';
import { connect, loadTemporalConfig, TemporalUnreachableError } from './connection.ts';
import { connectWorker } from './worker-connection.ts';

describe('loadTemporalConfig', () => {
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
