import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Writable } from 'node:stream';

/** The shell that cleans up when we are gone: see `guardian.sh`. Started with the first thing to guard. */
let guardian: Writable | null = null;

function tell(line: string): void {
  guardian ??= startGuardian();
  guardian.write(`${line}\n`);
}

function startGuardian(): Writable {
  // Detached: the terminal's Ctrl-C must not reach it.
  const shell = spawn('/bin/sh', [join(import.meta.dirname, 'guardian.sh')], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  shell.unref();
  if (shell.stdin instanceof Socket) shell.stdin.unref();
  // Without a guardian everything still works but the cleaning up after a crash.
  shell.on('error', () => undefined);
  shell.stdin.on('error', () => undefined);
  return shell.stdin;
}

/** @param processGroup process id of its leader; gets `signal`, and SIGKILL 5 s later, when we are gone */
export const guardProcess = (processGroup: number, signal: NodeJS.Signals): void =>
  tell(`guard ${processGroup} ${signal.slice('SIG'.length)}`);

/** The process has ended; its id may soon be another's. */
export const forgetProcess = (processGroup: number): void => tell(`forget ${processGroup}`);

export interface TemporaryDirectory {
  readonly path: string;
  remove(): void;
}

/**
 * A fresh directory that goes with this process. Other users may traverse it, because PostgreSQL refuses to run as root
 * and then runs as another user.
 */
export function createTemporaryDirectory(prefix: string): TemporaryDirectory {
  const path = mkdtempSync(join(tmpdir(), prefix));
  chmodSync(path, 0o755);
  // Told once and never forgotten: nobody else gets this name.
  tell(`directory ${path}`);
  return {
    path,
    remove: () => rmSync(path, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 }),
  };
}
