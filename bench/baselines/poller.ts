import { beginRun, runnerDeps, writeMission } from '#bench/planner/opened-mission.ts';
import type { BenchMission, BenchSystem } from '#bench/system.ts';
import { forgetRun } from '#activities/runner/forget-run.ts';
import { planOneRound } from '#activities/runner/round/one-round.ts';
import { writeIteration } from '#activities/runner/write-iteration.ts';
import type { Gateway } from '#llm/gateway.ts';

/**
 * What the service before did, without its faults: one process without Temporal that plans missions one after another, with the
 * product's own steps on the same kind of database.
 *
 * @returns what plans so many, and tells how many a second
 */
export async function preparePoller(
  system: BenchSystem,
  gateway: Gateway,
  missions: number,
): Promise<() => Promise<number>> {
  const deps = runnerDeps(system, gateway);
  const written: BenchMission[] = [];
  for (let index = 0; index < missions; index += 1) written.push(await writeMission(system));
  return async () => {
    const startedMs = performance.now();
    for (const mission of written) {
      const run = await beginRun(deps, system, mission);
      for (let round = 1; ; round += 1) {
        const { status } = await planOneRound(deps, { ...run, round }, new AbortController().signal);
        if (status === 'finished') break;
        if (status !== 'continue') throw new Error(`round ${round}: found ${status}, expected continue`);
      }
      const { outcome } = await writeIteration(deps, {
        ...run,
        startedAtMs: Date.now(),
        result: { kind: 'planned' },
      });
      if (outcome !== 'planned') throw new Error(`write: found ${outcome}, expected planned`);
      await forgetRun(deps.database, run.userId, run);
    }
    return missions / ((performance.now() - startedMs) / 1_000);
  };
}
