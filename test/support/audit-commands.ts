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

/** Runs `yarn audit:<name>` as package.json has it, with this environment and no other variable. */
export async function runAuditScript(
  name: 'verify' | 'heads' | 'prune' | 'erase',
  env: Readonly<Record<string, string>>,
  args: readonly string[] = [],
): Promise<CommandResult> {
  const script = join(root, 'commands', 'missions.ts');
  const result = await run(process.execPath, [script, 'audit', name, ...args], {
    cwd: root,
    env: { ...env },
  }).then(
    (done) => ({ ...done, code: 0 }),
    (error: unknown) => error as { code: number; stdout: string; stderr: string },
  );
  const lines = result.stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { code: result.code, lines, stderr: result.stderr };
}
