import { setTimeout as delay } from 'node:timers/promises';
import type { ExitStatus } from '#dev/processes.ts';
import { NETWORK_FAULTS, startFaultyProxy, type FaultyProxy } from './faulty-proxy.ts';
import type { Random } from './random.ts';
import {
  environmentOf,
  startSystemProcess,
  type Surroundings,
  type SystemProcess,
} from '#test/support/worker-process.ts';

export type Role = 'api' | 'runner' | 'vault' | 'projection';

/** In which moment a process was killed. */
export type Moment = 'open transaction' | 'open gateway call' | 'neither';

/** One of two processes of a role, started again whenever it ends, with ways of its own to everything outside. */
export interface Program {
  readonly role: Role;
  /** Null while it is not there. */
  url(): string | null;
  /** Of its health port, which has the metrics; null while it is not there. */
  healthUrl(): string | null;
  logFiles(): readonly string[];
  /** Of all processes that it was, as Temporal's identities begin. */
  pids(): readonly number[];
  /** How often it ended by itself. */
  deaths(): number;
  /** How often it did not come up, because what it needs was down. */
  failedStarts(): number;
  /**
   * Waits up to a second and a half for the wanted moment, and then does it in any.
   *
   * @returns null when it was not there to be killed
   */
  kill9(wanted: Moment | null): Promise<Moment | null>;
  /**
   * Has it stand still for so long and then go on, as a machine that is out of memory does; likewise in a wanted moment.
   *
   * @returns in which moment, once it stands; null when it was not there
   */
  freeze(wanted: Moment | null, forMs: number, onThaw: () => void): Promise<Moment | null>;
  /** SIGTERM, as an upgrade does, likewise in a wanted moment; null when it was not there. */
  restart(wanted?: Moment): Promise<Drain | null>;
  /** @returns what was done to what, for the report */
  disturb(random: Random): string;
  /** Likewise, and it is not started again. */
  stop(wanted?: Moment): Promise<Drain | null>;
}

/** How a process ended that was asked to. */
export interface Drain extends ExitStatus {
  readonly role: Role;
  readonly tookMs: number;
  readonly moment: Moment;
}

/** Where everything outside really is. */
export interface Targets {
  readonly postgres: { readonly host: string; readonly port: number };
  readonly temporal: { readonly host: string; readonly port: number };
  readonly gateway: { readonly host: string; readonly port: number };
}

const LONGEST_WAIT_MS = 1_500;
/** Longer than any process's own grace. */
const KILL_AFTER_MS = 40_000;

const SETTINGS: Readonly<Record<Role, Readonly<Record<string, string>>>> = {
  api: {},
  // A gateway that says nothing must not use up a part's time.
  runner: { MANA_LLM_TIMEOUT_SECONDS: '10' },
  vault: {},
  projection: {},
};

export async function startProgram(
  role: Role,
  around: Surroundings,
  targets: Targets,
  settings: Readonly<Record<string, string>>,
): Promise<Program> {
  const ways: Record<keyof Targets, FaultyProxy> = {
    postgres: await startFaultyProxy(targets.postgres),
    temporal: await startFaultyProxy(targets.temporal),
    gateway: await startFaultyProxy(targets.gateway),
  };
  const through = (url: string): string => {
    const replaced = new URL(url);
    if (replaced.protocol.startsWith('postgres')) replaced.port = String(ways.postgres.port);
    return replaced.href;
  };
  const env = Object.fromEntries(
    Object.entries({ ...environmentOf(role, around), ...SETTINGS[role], ...settings }).map(
      ([name, value]) => [name, name.includes('DATABASE_URL') ? through(value) : value],
    ),
  );
  env['TEMPORAL_ADDRESS'] = `127.0.0.1:${ways.temporal.port}`;
  if (role === 'runner') env['MANA_LLM_URL'] = `http://127.0.0.1:${ways.gateway.port}`;

  let current: SystemProcess | null = null;
  const stopping = new AbortController();
  const isStopping = (): boolean => stopping.signal.aborted;
  let asked = 0;
  let [deaths, failedStarts] = [0, 0];
  const logs: string[] = [];
  const pids: number[] = [];
  const watching = (async () => {
    while (!isStopping()) {
      try {
        const started = await startSystemProcess(role, around, env);
        if (started.logFile !== null) logs.push(started.logFile);
        pids.push(started.pid);
        current = started;
        const before = asked;
        if (isStopping()) await started.stop();
        await started.exited;
        if (asked === before && !isStopping()) deaths += 1;
      } catch {
        // What it needs may be down; whoever supervises it tries again.
        failedStarts += 1;
        await delay(250);
      }
      current = null;
    }
  })();
  const momentOf = (): Moment =>
    role === 'runner' && ways.gateway.openCalls() > 0
      ? 'open gateway call'
      : ways.postgres.transactions() > 0
        ? 'open transaction'
        : 'neither';
  const untilMoment = async (wanted: Moment): Promise<void> => {
    const deadlineAt = Date.now() + LONGEST_WAIT_MS;
    while (momentOf() !== wanted && Date.now() < deadlineAt) await delay(2);
  };
  const drain = async (wanted?: Moment): Promise<Drain | null> => {
    if (wanted !== undefined) await untilMoment(wanted);
    const [draining, moment, startedAt] = [current, momentOf(), Date.now()];
    if (draining === null) return null;
    const status = await draining.stop(KILL_AFTER_MS);
    return { role, ...status, moment, tookMs: Date.now() - startedAt };
  };
  let stopped: Promise<Drain | null> | null = null;
  const stop = async (wanted?: Moment): Promise<Drain | null> => {
    stopping.abort();
    asked += 1;
    const drained = await drain(wanted);
    await watching;
    await Promise.all(Object.values(ways).map((way) => way.close()));
    return drained;
  };
  return {
    role,
    url: () => current?.url() ?? null,
    healthUrl: () => {
      const port = /"healthPort":(\d+)/.exec(current?.output() ?? '')?.[1];
      return port === undefined ? null : `http://127.0.0.1:${port}`;
    },
    logFiles: () => logs,
    pids: () => pids,
    deaths: () => deaths,
    failedStarts: () => failedStarts,
    kill9: async (wanted) => {
      if (wanted !== null) await untilMoment(wanted);
      const killed = current;
      if (killed === null) return null;
      const moment = momentOf();
      asked += 1;
      await killed.kill9();
      return moment;
    },
    freeze: async (wanted, forMs, onThaw) => {
      if (wanted !== null) await untilMoment(wanted);
      const frozen = current;
      if (frozen === null) return null;
      const moment = momentOf();
      process.kill(frozen.pid, 'SIGSTOP');
      setTimeout(() => {
        onThaw();
        // It may have been killed meanwhile.
        if (frozen.isRunning()) process.kill(frozen.pid, 'SIGCONT');
        onThaw();
      }, forMs);
      return moment;
    },
    restart: async (wanted) => {
      asked += 1;
      return drain(wanted);
    },
    disturb: (random) => {
      const names =
        role === 'runner'
          ? (['postgres', 'temporal', 'gateway'] as const)
          : (['postgres', 'temporal'] as const);
      const [name, fault] = [random.pick(names), random.pick(NETWORK_FAULTS)];
      ways[name].disturb(fault, random.between(500, 4_000));
      return `${fault} ${name}`;
    },
    stop: (wanted) => (stopped ??= stop(wanted)),
  };
}
