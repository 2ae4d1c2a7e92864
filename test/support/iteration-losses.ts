import { writesOfField } from '#domain/change-log/field-merge.ts';
import { type ChangeRow, RUNNER_CLIENT_ID } from '#domain/wire/rows.ts';
import { acceptableIterations } from '#domain/iteration/iterations.ts';
import {
  type FailureCode,
  isFilled,
  isObject,
  overallRank,
  stepRank,
  stepsOf,
  type StoredObject,
} from '#domain/wire/iteration.ts';

/** An iteration that a run wrote, in the order of the runs. */
export interface WrittenRun {
  readonly id: string;
  readonly failure: FailureCode | null;
}

/** The arrays of a mission's rows, the one that stands at the end. */
function arraysOf(rows: readonly ChangeRow[]): { byDevice: boolean; iterations: StoredObject[] }[] {
  return writesOfField(rows, 'iterations').map(({ row, value }) => ({
    byDevice: row.clientId !== RUNNER_CLIENT_ID,
    iterations: acceptableIterations(value),
  }));
}

/**
 * What the array that stands lacks of all that was ever written: iterations of runs, except failures that the next run
 * repeated without the user having said anything about them; iterations of devices that the newest row of a device holds;
 * the newest feedback; the furthest state of each step, and of each iteration of ours. Written from the promise, not from the code that keeps it.
 */
export function lossesIn(rows: readonly ChangeRow[], runs: readonly WrittenRun[]): string[] {
  const arrays = arraysOf(rows);
  const standing = arrays.at(-1)?.iterations ?? [];
  const find = (id: unknown) => standing.find((each) => each['id'] === id);
  const versionsOf = (id: unknown, byDevice?: boolean): StoredObject[] =>
    arrays
      .filter((array) => byDevice === undefined || array.byDevice === byDevice)
      .flatMap(({ iterations }) => iterations.filter((each) => each['id'] === id));
  const isRepeated = ({ id, failure }: WrittenRun, index: number): boolean =>
    failure !== null &&
    runs[index + 1]?.failure === failure &&
    !versionsOf(id).some((each) => isFilled(each['userFeedback']));
  const losses: string[] = runs
    .filter((run, index) => find(run.id) === undefined && !isRepeated(run, index))
    .map(({ id }) => `iteration ${id}`);
  for (const { id, source } of arrays.findLast(({ byDevice }) => byDevice)?.iterations ?? []) {
    if (source === 'browser' && find(id) === undefined) losses.push(`iteration ${String(id)} of a device`);
  }
  for (const iteration of standing) {
    const id = iteration['id'];
    const said = versionsOf(id, true)
      .map((each) => each['userFeedback'])
      .findLast(isFilled);
    if (iteration['userFeedback'] !== said) losses.push(`feedback of ${String(id)}`);
    const statuses = versionsOf(id).map(({ overallStatus }) => overallStatus);
    const furthest = Math.max(...statuses.map(overallRank));
    if (iteration['source'] === 'server' && overallRank(iteration['overallStatus']) < furthest)
      losses.push(`decision about ${String(id)}`);
    for (const step of stepsOf(iteration).filter((each) => isObject(each))) {
      const states = versionsOf(id)
        .flatMap((each) => stepsOf(each))
        .filter((each) => isObject(each))
        .filter((each) => each['id'] === step['id']);
      const isFurthest = states.every(({ status }) => stepRank(step['status']) >= stepRank(status));
      const isInvented = !states.some(({ status }) => status === step['status']);
      const lacksProposal =
        !isFilled(step['proposalId']) && states.some((each) => isFilled(each['proposalId']));
      if (!isFurthest || isInvented || lacksProposal)
        losses.push(`step ${String(step['id'])} of ${String(id)}`);
    }
  }
  return losses;
}
