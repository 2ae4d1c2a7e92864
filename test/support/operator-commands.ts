import { compileCache } from '#dev/processes.ts';
import { execFile } from 'node:child_process';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const root = resolve(import.meta.dirname, '..', '..');
const run = promisify(execFile);

export interface CommandResult {
  readonly code: number;
  /** The JSON lines of stdout. */
  readonly lines: readonly Readonly<Record<string, unknown>>[];
  readonly stderr: string;
}

/** Runs `bin/yarn missions <words>` as package.json has it, with this environment and no other variable but Node's cache. */
export async function runMissions(
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  const script = join(root, 'commands', 'missions.ts');
  return run(process.execPath, [script, ...words], { cwd: root, env: { ...compileCache(), ...env } }).then(
    (done) => ({ ...done, code: 0 }),
    (error: unknown) => error as { code: number; stdout: string; stderr: string },
  );
}

/** Runs a verb of `bin/yarn missions audit`, which prints JSON lines. */
export async function runAuditScript(
  name: 'verify' | 'heads' | 'prune' | 'erase',
  env: Readonly<Record<string, string>>,
  args: readonly string[] = [],
): Promise<CommandResult> {
  const { code, stdout, stderr } = await runMissions(['audit', name, ...args], env);
  const lines = stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { code, lines, stderr };
}
