import { describe, expect, it } from 'vitest';
import { loadExplainConfig } from './explain-command.ts';

const url = (user: string): string => `postgres://${user}:s3cret@127.0.0.1:5432/mana_sync`;

describe('the configuration of yarn missions explain', () => {
  it('takes SYNC_DATABASE_URL for every part that has none of its own, as the processes do', () => {
    const env = { SYNC_DATABASE_URL: url('plain'), SYNC_DATABASE_URL_RUNNER: url('runner') };
    expect(loadExplainConfig(env)).toMatchObject({
      ...{ projectionUrl: url('plain'), apiUrl: url('plain'), runnerUrl: url('runner') },
      ...{ privateKeys: [], defaultTokensPerDay: 500_000 },
    });
    expect(loadExplainConfig({ SYNC_DATABASE_URL_PROJECTION: url('projection') })).toMatchObject({
      ...{ projectionUrl: url('projection'), apiUrl: null, runnerUrl: null },
    });
  });

  it('names everything that is wrong at once, files as well, and shows no value', () => {
    const env = {
      SYNC_DATABASE_URL_FILE: '/nowhere',
      SYNC_DATABASE_URL_RUNNER: 'mysql://operator:s3cret@h/d',
      MANA_AI_PRIVATE_KEY_PEM_FILE: '/nowhere',
      DEFAULT_TOKENS_PER_DAY: 'many',
    };
    expect(() => loadExplainConfig(env)).toThrow(
      new Error(
        [
          'SYNC_DATABASE_URL_RUNNER: cannot be used; expected a postgres:// URL with user and database',
          'DEFAULT_TOKENS_PER_DAY: cannot be used; expected a whole number from 0 to 1000000000',
          'SYNC_DATABASE_URL_FILE: names a file that does not exist',
          'MANA_AI_PRIVATE_KEY_PEM_FILE: names a file that does not exist',
        ].join('\n'),
      ),
    );
  });
});
