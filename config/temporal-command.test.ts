import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadTemporalCommandConfig } from './temporal-command.ts';

const [first, second] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
const TEMPORAL_CODEC_KEYS = `new:${first.toString('base64')},old:${second.toString('base64')}`;

describe('the configuration of a command that talks to Temporal alone', () => {
  it('is the connection and the codec keys, of which the first encrypts', () => {
    const env = { TEMPORAL_ADDRESS: 'temporal:7233', TEMPORAL_NAMESPACE: 'mana', TEMPORAL_CODEC_KEYS };
    const { temporal, codecKeys } = loadTemporalCommandConfig(env);
    expect(temporal).toMatchObject({ address: 'temporal:7233', namespace: 'mana' });
    expect(codecKeys.primaryKeyId).toBe('new');
    expect([...codecKeys.keys]).toEqual([
      ['new', first],
      ['old', second],
    ]);
  });

  it('takes secrets from files', () => {
    const directory = mkdtempSync(join(tmpdir(), 'mana-command-'));
    try {
      const [keys, apiKey] = [join(directory, 'keys'), join(directory, 'api-key')];
      writeFileSync(keys, `${TEMPORAL_CODEC_KEYS}\n`);
      writeFileSync(apiKey, 'made-up\n');
      const read = loadTemporalCommandConfig({
        TEMPORAL_CODEC_KEYS_FILE: keys,
        TEMPORAL_API_KEY_FILE: apiKey,
      });
      expect(read.codecKeys.primaryKeyId).toBe('new');
      expect(read.temporal.apiKey).toBe('made-up');
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it.each([
    ['TEMPORAL_CODEC_KEYS', {}],
    ['TEMPORAL_CODEC_KEYS', { TEMPORAL_CODEC_KEYS: 'new:c2VjcmV0' }],
    ['TEMPORAL_CODEC_KEYS_FILE', { TEMPORAL_CODEC_KEYS_FILE: '/nowhere' }],
  ])('is refused by the name of the variable, %s, without its value', (name, env) => {
    expect(() => loadTemporalCommandConfig(env)).toThrow(new RegExp(`^${name}: (?!.*c2Vj)`));
  });
});
