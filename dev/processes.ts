import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { forgetProcess, guardProcess } from './guardian.ts';

export interface ProcessOptions {
  /** For messages. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Complete: nothing is inherited but PATH, HOME, TMPDIR and NODE_COMPILE_CACHE, so no secret reaches a process by accident. */
  readonly env: Readonly<Record<string, string>>;
  /** Receives stdout and stderr, appended; null: they go where ours go. */
  readonly logFile: string | null;
  readonly cwd?: string;
  readonly user?: { readonly uid: number; readonly gid: number } | undefined;
  /** What asks this program to stop; SIGTERM by default. */
  readonly stopSignal?: 'SIGTERM' | 'SIGINT';
  /** What ends it fast and cleanly when we are gone; the stop signal by default. */
  readonly abortSignal?: 'SIGTERM' | 'SIGINT' | 'SIGQUIT' | 'SIGKILL';
}

export interface ExitStatus {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ManagedProcess {
  readonly name: string;
  readonly pid: number;
  readonly logFile: string | null;
  /** Never rejects. */
  readonly exited: Promise<ExitStatus>;
  readonly isRunning: () => boolean;
  /** Asks it to stop, ends it with SIGKILL after `graceMs` (10 s by default), and waits until it is gone. */
  stop(graceMs?: number): Promise<ExitStatus>;
  /** SIGKILL, as a crashing machine would; waits until it is gone. */
  kill9(): Promise<ExitStatus>;
}

/**
 * Starts a process in a session of its own, so Ctrl-C reaches only us and we decide the order of ending. When this
 * process is gone without having stopped it, a guardian ends it.
 *
 * @throws Error when the program cannot be started
 */
export async function spawnProcess(options: ProcessOptions): Promise<ManagedProcess> {
  const log = options.logFile === null ? null : openSync(options.logFile, 'a');
  const child = spawn(options.command, options.args, {
    cwd: options.cwd,
    env: { ...inheritedEnv(), ...options.env },
    detached: true,
    stdio: ['ignore', log ?? 'inherit', log ?? 'inherit'],
    ...options.user,
  });
  if (log !== null) closeSync(log);
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (cause) =>
      reject(new Error(`${options.name} cannot be started: ${cause.message}`, { cause })),
    );
  });
  const pid = child.pid;
  if (pid === undefined) throw new Error(`${options.name} was started without a process id`);
  const stopSignal = options.stopSignal ?? 'SIGTERM';
  guardProcess(pid, options.abortSignal ?? stopSignal);

  let running = true;
  const exited = new Promise<ExitStatus>((resolve) => {
    child.once('exit', (code, signal) => {
      running = false;
      forgetProcess(pid);
      resolve({ code, signal });
    });
  });
  const send = (signal: NodeJS.Signals): void => {
    if (running) child.kill(signal);
  };
  return {
    name: options.name,
    pid,
    logFile: options.logFile,
    exited,
    isRunning: () => running,
    stop: async (graceMs = 10_000) => {
      send(stopSignal);
      const deadline = setTimeout(() => send('SIGKILL'), graceMs);
      const status = await exited;
      clearTimeout(deadline);
      endGroup(pid);
      return status;
    },
    kill9: async () => {
      send('SIGKILL');
      return await exited;
    },
  };
}

/** What the process started and did not end itself. */
function endGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGKILL');
  } catch {
    // Nobody is left.
  }
}

/** What any program needs to find its parts; the rest of the environment stays here. */
export function inheritedEnv(): Record<string, string> {
  return passedOn(['PATH', 'HOME', 'TMPDIR', 'NODE_COMPILE_CACHE']);
}

/** With what Node compiled before a process starts in half the time: the tests start hundreds. */
export const compileCache = (): Record<string, string> => passedOn(['NODE_COMPILE_CACHE']);

const passedOn = (names: readonly string[]): Record<string, string> =>
  Object.fromEntries(
    names.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  );

/** The last lines of a log file; empty when there is none. */
export function logTail(logFile: string | null, lines = 20): string {
  try {
    if (logFile === null) return '';
    return readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  } catch {
    return '';
  }
}

/**
 * Waits until `isReady` says so.
 *
 * @throws Error with the end of the log when the process exits before, or when the deadline passes
 */
export async function waitUntilReady(
  started: Pick<ManagedProcess, 'name' | 'logFile' | 'isRunning'>,
  isReady: () => Promise<boolean>,
  deadlineMs: number,
): Promise<void> {
  const deadlineAt = Date.now() + deadlineMs;
  for (;;) {
    if (!started.isRunning())
      throw new Error(`${started.name} ended before it was ready:\n${logTail(started.logFile)}`);
    if (await isReady()) return;
    if (Date.now() > deadlineAt) {
      throw new Error(`${started.name} was not ready after ${deadlineMs} ms:\n${logTail(started.logFile)}`);
    }
    await delay(25);
  }
}

/** Waits until `url` answers with a 2xx status; see `waitUntilReady` for what it throws. */
export async function waitForHealth(url: string, deadlineMs: number, started: ManagedProcess): Promise<void> {
  const isHealthy = async (): Promise<boolean> => {
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(1_000) });
      await response.body?.cancel();
      return response.ok;
    } catch {
      return false;
    }
  };
  await waitUntilReady(started, isHealthy, deadlineMs);
}
