import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { writeLoad } from './load.ts';
import { untilAtRest } from './part.ts';
import type { Drain, Program } from './program.ts';
import { randomOf } from './random.ts';
import { startWorld, type Checkout, type World } from './world.ts';
import { createTemporaryDirectory } from '#dev/guardian.ts';
import type { Report } from '#test/checker/check.ts';

const root = resolve(import.meta.dirname, '..', '..', '..');
const run = promisify(execFile);

export interface RollingOptions {
  readonly seed: number;
  readonly missions: number;
  /** How long missions are written. */
  readonly forMs: number;
}

export interface RollingResult extends Report {
  readonly seed: number;
  readonly missions: number;
  readonly habits: Readonly<Record<string, number>>;
  readonly drains: readonly Drain[];
  /** Of all attempts at an activity of a run that the server counts, those after the first. */
  readonly laterAttempts: readonly string[];
  /** How many runs were worked on by which versions. */
  readonly runsBy: Readonly<Record<string, number>>;
}

interface Version {
  readonly name: string;
  readonly programs: readonly Program[];
}

interface Acted {
  readonly drains: readonly Drain[];
  readonly versions: readonly Version[];
}

/** Nothing but SIGTERM is done to the service: no round may be asked twice, and no instant be missed. */
const UNDISTURBED = { faultsAtMs: [], graceMs: 1_000 };

/**
 * The version before on today's schema, then both, then today's alone, under load all the time.
 *
 * @param commit which version is the one before
 */
export async function upgrade(commit: string, options: RollingOptions): Promise<RollingResult> {
  const directory = createTemporaryDirectory('mana-upgrade-');
  try {
    const before = await checkOut(commit, directory.path);
    return await underLoad(options, async (world, third) => {
      const old = await world.startOfEach(before);
      await third();
      const today = await world.startOfEach();
      await third();
      const drains: Drain[] = [];
      for (const program of old) drains.push(...(await drainOf(program, 'stop')));
      const versions = [
        { name: 'before', programs: old },
        { name: 'today', programs: today },
      ];
      return { drains, versions };
    });
  } finally {
    directory.remove();
  }
}

/** Two of each process, one after the other ended with SIGTERM and started again. */
export const restarts = (count: number, options: RollingOptions): Promise<RollingResult> =>
  underLoad(options, async (world, third) => {
    await world.startOfEach();
    await world.startOfEach();
    await third();
    const drains: Drain[] = [];
    for (let nth = 0; nth < count; nth += 1) {
      const program = world.programs[nth % world.programs.length];
      if (program === undefined) continue;
      drains.push(...(await drainOf(program, 'restart')));
      const isBack = async (): Promise<boolean> => {
        await delay(50);
        return program.url() !== null;
      };
      while (!(await isBack()));
    }
    return { drains, versions: [{ name: 'today', programs: world.programs }] };
  });

const drainOf = async (program: Program, how: 'stop' | 'restart'): Promise<Drain[]> => {
  // In the middle of something, where there is anything.
  const drain = await program[how](program.role === 'runner' ? 'open gateway call' : 'open transaction');
  return drain === null ? [] : [drain];
};

/** @param act gets a function that waits for a third of the time */
export async function underLoad(
  { seed, missions, forMs }: RollingOptions,
  act: (world: World, third: () => Promise<unknown>) => Promise<Acted>,
): Promise<RollingResult> {
  const world = await startWorld(randomOf(seed), []);
  try {
    world.calmGateway();
    const isThere = Promise.withResolvers<undefined>();
    const acting = act(world, () => {
      isThere.resolve(undefined);
      return delay(forMs / 3);
    });
    acting.catch(isThere.reject);
    await isThere.promise;
    const [habits, { drains, versions }] = await Promise.all([
      writeLoad(world, randomOf(seed + 2), { missions, forMs }),
      acting,
    ]);
    const report = await untilAtRest(world, missions, UNDISTURBED);
    return { seed, missions, habits, drains, ...(await workSeen(world, versions)), ...report };
  } finally {
    await world.close();
  }
}

interface Work {
  readonly laterAttempts: readonly string[];
  readonly runsBy: Readonly<Record<string, number>>;
}

/** What the histories of all runs say. */
async function workSeen(world: World, versions: readonly Version[]): Promise<Work> {
  const laterAttempts: string[] = [];
  const runsBy: Record<string, number> = {};
  const versionOf = (identity: string): string | undefined =>
    versions.find(({ programs }) =>
      programs.some((program) => program.pids().some((pid) => identity.startsWith(`${pid}@`))),
    )?.name;
  for await (const { workflowId, runId } of world.client.workflow.list({
    query: `WorkflowType = 'missionRun'`,
  })) {
    const { events } = await world.client.workflow.getHandle(workflowId, runId).fetchHistory();
    const workedOn = new Set<string>();
    for (const event of events ?? []) {
      const activity = event.activityTaskStartedEventAttributes;
      const version = versionOf((activity ?? event.workflowTaskStartedEventAttributes)?.identity ?? '');
      if (version !== undefined) workedOn.add(version);
      if ((activity?.attempt ?? 1) > 1)
        laterAttempts.push(
          `${workflowId}: ${activity?.lastFailure?.applicationFailureInfo?.type ?? 'timed out'}`,
        );
    }
    const by = [...workedOn].sort().join(' and ');
    runsBy[by] = (runsBy[by] ?? 0) + 1;
  }
  return { laterAttempts, runsBy };
}

/** The commit's files, with the packages that are installed here. */
async function checkOut(commit: string, into: string): Promise<Checkout> {
  const checkout = join(into, 'version-before');
  mkdirSync(checkout);
  const archive = join(into, 'version-before.tar');
  await run('git', ['archive', '--output', archive, commit], { cwd: root });
  await run('tar', ['-xf', archive, '-C', checkout]);
  symlinkSync(join(root, 'node_modules'), join(checkout, 'node_modules'));
  const workflowBundlePath = join(into, 'workflow-bundle-before.js');
  await run(process.execPath, ['scripts/build-workflows.ts', workflowBundlePath], { cwd: checkout });
  return { checkout, workflowBundlePath };
}

/** The version that a release upgrades from. */
export const versionBefore = (): string =>
  (JSON.parse(readFileSync(join(import.meta.dirname, 'version-before.json'), 'utf8')) as { commit: string })
    .commit;
