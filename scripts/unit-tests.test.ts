import { join, resolve } from 'node:path';
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { createTemporaryDirectory } from '#dev/guardian.ts';
import { spawnProcess } from '#dev/processes.ts';

const root = resolve(import.meta.dirname, '..');

it('a unit test starts no server, though no project is named', async () => {
  const directory = createTemporaryDirectory('mana-unit-');
  try {
    const logFile = join(directory.path, 'vitest.log');
    const tests = await spawnProcess({
      name: 'vitest',
      command: join(root, 'node_modules', '.bin', 'vitest'),
      args: ['run', 'domain/wire/event-times.test.ts'],
      // Whoever starts a server fails.
      env: { TEMPORAL_CLI: join(directory.path, 'no-such-program') },
      logFile,
      cwd: root,
    });
    const { code } = await tests.exited;
    expect(code, readFileSync(logFile, 'utf8')).toBe(0);
  } finally {
    directory.remove();
  }
}, 120_000);
