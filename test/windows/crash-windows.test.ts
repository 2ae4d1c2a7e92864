import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { check, type Report } from '#test/checker/check.ts';
import { readFacts } from '#test/checker/read-facts.ts';
import { surroundingsOf } from '#test/faults/surroundings.ts';
import { logged, writeCheckedMission } from '#test/support/checked-missions.ts';
import { startMissionSystem, type MissionSystem } from '#test/support/mission-system.ts';
import { waitUntil } from '#test/support/wait-until.ts';
import { startWindowProxy, type Window } from '#test/support/window-proxy.ts';
import {
  environmentOf,
  startSystemProcess,
  type Surroundings,
  type SystemProcess,
} from '#test/support/worker-process.ts';

/**
 * The short form of the fault suite: a process is killed with -9 in each window between what it says and what it hears, once,
 * and others take over. In the end the checker counts (docs/reliability.md).
 */
const MISSIONS = 20;
const LANES = 5;

type Role = 'runner' | 'vault' | 'projection';

/** A commit of the transaction in which this is written. */
const commit = (awaited: string): Omit<Window, 'moment'> => ({
  awaited,
  sends: 'commit\0',
  hears: 'COMMIT\0',
});
const CALL = { awaited: 'POST /v1/chat/completions', sends: 'POST', hears: 'HTTP/1.1 200' };

/** Without prepared statements each statement goes over the wire with its text. */
const COMMITS: Readonly<Record<Role, Readonly<Record<string, string>>>> = {
  runner: {
    'the slot': 'insert into mana_ai.run_slots',
    'the claim of the instant': '"overallStatus":"running"',
    'the request': 'update mana_ai.model_calls set request',
    'the reply': 'update mana_ai.model_calls set reply',
    'the count of tokens': 'insert into mana_ai.token_usage',
    'the iteration': '"overallStatus":"awaiting-review"',
    'the end of the slot': 'delete from mana_ai.run_slots',
  },
  vault: { 'the sealed records and their audit': 'insert into mana_ai.decrypt_audit' },
  projection: {
    'the cursor': 'update mana_ai.projection_cursor',
    'the applied schedule': 'applied_schedule =',
  },
};

interface NamedWindow {
  readonly name: string;
  readonly role: Role;
  readonly to: 'database' | 'gateway';
  readonly window: Window;
}

const windowsOf = (role: Role): NamedWindow[] => [
  ...Object.entries(COMMITS[role]).flatMap(([what, text]) =>
    (['before', 'after'] as const).map((moment) => ({
      ...{ name: `${role}: ${moment} the commit of ${what}`, role, to: 'database' as const },
      window: { ...commit(text), moment },
    })),
  ),
  ...(role === 'runner' ? (['before', 'sent', 'after'] as const) : []).map((moment) => ({
    ...{ name: `${role}: gateway call, ${moment}`, role, to: 'gateway' as const },
    window: { ...CALL, moment },
  })),
];

const gateway = logged();
let system: MissionSystem;
let around: Surroundings;
const processes: SystemProcess[] = [];
const faultsAtMs: number[] = [];
const hit: string[] = [];
const startedAt = performance.now();
let written = 0;
let report: Report;

const write = async (): Promise<void> => {
  written += 1;
  await writeCheckedMission(system, Date.now() - 1_000);
};

/** Starts a process that stands still in its window, gives it work until it does, and kills it there. */
async function killIn({ name, role, to, window }: NamedWindow): Promise<void> {
  const env = environmentOf(role, around);
  const variable = to === 'gateway' ? 'MANA_LLM_URL' : 'SYNC_DATABASE_URL';
  const url = new URL(env[variable] ?? '');
  const proxy = await startWindowProxy({ port: Number(url.port) }, window);
  url.port = String(proxy.port);
  const started = await startSystemProcess(role, around, {
    [variable]: url.href,
    DATABASE_PREPARED_STATEMENTS: 'false',
  });
  processes.push(started);
  let isHeld = false;
  void proxy.held.then(() => (isHeld = true));
  let nextAtMs = Date.now();
  await waitUntil(
    name,
    async () => {
      if (!isHeld && Date.now() >= nextAtMs) {
        nextAtMs = Date.now() + 4_000;
        await write();
      }
      return isHeld;
    },
    { deadlineMs: 180_000 },
  );
  await started.kill9();
  await proxy.close();
  // Now, for until now something that it had sent could still arrive.
  faultsAtMs.push(Date.now());
  hit.push(name);
  console.info(`${name}: ${Math.round((performance.now() - startedAt) / 1_000)} s`);
}

async function killInTurn(windows: readonly NamedWindow[]): Promise<void> {
  for (const window of windows) await killIn(window);
}

const look = async (): Promise<Report> =>
  check(
    await readFacts({
      ...system.databases.superuser,
      temporal: { address: inject('temporalAddress'), namespace: system.namespace },
      asked: gateway.asked,
      files: [
        join(inject('serverLogDirectory'), 'postgres.log'),
        ...processes.map(({ logFile }) => logFile ?? ''),
      ],
    }),
    { faultsAtMs, graceMs: 1_000 },
  );

beforeAll(async () => {
  system = await startMissionSystem({ parts: [], script: gateway.script });
  around = await surroundingsOf(system);
  const runner = windowsOf('runner');
  // Several at a time, or the runs would wait for each other's dead workers one after the other.
  const lanes = Array.from({ length: LANES }, (_, lane) =>
    runner.filter((_, index) => index % LANES === lane),
  );
  await Promise.all([
    ...lanes.map((lane) => killInTurn(lane)),
    // Without these two no run gets far.
    ...(['vault', 'projection'] as const).map(async (role) => {
      await killInTurn(windowsOf(role));
      processes.push(await startSystemProcess(role, around));
    }),
  ]);
  processes.push(await startSystemProcess('runner', around));
  while (written < MISSIONS) await write();
  await waitUntil('all is at rest', async () => (report = await look()).violations.length === 0, {
    ...{ deadlineMs: 150_000, everyMs: 1_000 },
  }).catch(() => undefined);
}, 600_000);
afterAll(async () => {
  await Promise.all(processes.map((running) => running.stop()));
  await system.close();
});

it('a process dies in each window, and nothing is lost, doubled, paid twice or left over', () => {
  expect(hit.toSorted()).toEqual(
    (['runner', 'vault', 'projection'] as const)
      .flatMap((role) => windowsOf(role).map(({ name }) => name))
      .sort(),
  );
  expect(report.violations).toEqual([]);
  expect(report.counts).toMatchObject({ missions: written, iterations: written, schedules: written });
});
