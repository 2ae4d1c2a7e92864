import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { addRuns } from './runs.ts';
import { runMissions as missions } from '#test/support/operator-commands.ts';

describe('bin/yarn missions', () => {
  it('its help names every verb, the exit codes and where to read on', async () => {
    const { code, stdout } = await missions(['--help']);
    expect(code).toBe(0);
    for (const word of [
      'migrate',
      'setup',
      'reconcile',
      'doctor',
      'explain',
      'runs',
      'sweep',
      'stop-all',
      'resume-all',
      'audit',
      'Exit codes',
      'docs/operations.md',
      '--json',
    ]) {
      expect(stdout).toContain(word);
    }
  });

  it.each([
    ['migrate', 'MIGRATE_DATABASE_URL'],
    ['setup', 'TEMPORAL_RETENTION_DAYS'],
    ['reconcile', 'TEMPORAL_CODEC_KEYS'],
    ['explain', 'SYNC_DATABASE_URL_PROJECTION'],
    ['stop-all', 'MAINTENANCE_DATABASE_URL'],
    ['keys rotate', 'TEMPORAL_CODEC_KEYS'],
    ['audit prune', 'AUDIT_CHECKPOINT_PRIVATE_KEY_PEM'],
    ['user erase', 'MAINTENANCE_DATABASE_URL'],
  ])('the help of %s names its variables', async (verb, variable) => {
    expect((await missions([...verb.split(' '), '--help'])).stdout).toContain(variable);
  });

  it.each([
    [[], 'Usage'],
    [['audit'], 'Usage'],
    [['reconcil'], 'Did you mean reconcile?'],
    [['user', 'erase', 'u'], 'add --yes'],
    [['user', 'erase', '', '--yes'], 'the user id is empty'],
    [['user', 'erase', ' u', '--yes'], 'the user id has white space around it'],
    [['reconcile', '--timeout-seconds', 'soon'], 'expected a whole number of seconds, 1 or more'],
  ])('%j ends with 2 and says what is allowed', async (args, text) => {
    const { code, stdout, stderr } = await missions(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(text);
  });

  it('runs that are stuck can be chosen, as the search attribute says it', () => {
    const program = new Command();
    addRuns(program);
    const outcome = program.commands[0]?.options.find(({ long }) => long === '--outcome');
    expect(outcome?.argChoices).toContain('stuck');
  });

  it('what cannot be done ends with 1 and one message without a stack or a value', async () => {
    const env = { TEMPORAL_CODEC_KEYS: 'first:not-a-key-of-ours' };
    const { code, stdout, stderr } = await missions(['reconcile', '--json'], env);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toContain('TEMPORAL_CODEC_KEYS');
    expect(stderr).not.toContain('not-a-key-of-ours');
  });

  it.each([['setup'], ['user erase somebody --yes']])(
    '%s looks for the API key of Temporal in the file that is named',
    async (words) => {
      const env = { TEMPORAL_API_KEY_FILE: '/nowhere' };
      const { code, stderr } = await missions(words.split(' '), env);
      expect({ code, stderr: stderr.trim() }).toEqual({
        code: 1,
        stderr: expect.stringMatching(/TEMPORAL_API_KEY_FILE: names a file that does not exist$/) as unknown,
      });
    },
  );

  it('the doctor names what is missing, refused or of another zone, without values, and ends with 1', async () => {
    const env = { MANA_AUTH_KEK: 'kek-of-others', MANA_LLM_MAX_TOKENS: 'many-tokens' };
    const { code, stdout, stderr } = await missions(['doctor', '--process', 'runner'], env);
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
    expect(stdout).toMatch(/^fault +configuration of runner: MANA_LLM_URL: is not set.* -> /m);
    expect(stdout).toMatch(/^fault +configuration of runner: MANA_AUTH_KEK: belongs to another trust zone/m);
    expect(stdout).toMatch(/^fault +configuration of runner: MANA_LLM_MAX_TOKENS: cannot be used/m);
    expect(stdout).not.toMatch(/kek-of-others|many-tokens/);
  });
});
