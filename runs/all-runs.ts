import type { Client } from '@temporalio/client';
import type { FailureCode } from '#domain/wire/iteration.ts';
import { withCallDeadline } from '#temporal/connection.ts';
import { namespacesOf, type Clients } from '#temporal/namespaces.ts';
import { MISSION_SEARCH_ATTRIBUTES } from '#temporal/search-attributes.ts';
import { resultOf } from './mission-runs.ts';
import { toMissionRun, type MissionRun } from './run-execution.ts';
import { allRunsQuery, type RunFilter } from './run-queries.ts';

const PAGE_SIZE = 100;
/** The code of a failure stands in a run's result alone: so many runs are looked at for one. */
const LOOKED_AT_FOR_CODE = 2_000;

/** A run of any user. */
export interface RunOfUser extends MissionRun {
  readonly userId: string;
}

/**
 * Runs of all users, open ones first, then those that ended last, each with its result where that can be read.
 *
 * @param failureCode those that failed with this code alone
 * @throws gRPC errors of the SDK, TemporalUnavailableError
 */
export async function listAllRuns(
  clients: Clients,
  filter: RunFilter,
  limit: number,
  failureCode: FailureCode | null = null,
): Promise<RunOfUser[]> {
  const { all } = namespacesOf(clients);
  const lists = await Promise.all(all.map((client) => listRunsIn(client, filter, limit, failureCode)));
  // As the server orders those of one namespace; the order among equals stays.
  return lists.length === 1 ? lists.flat() : lists.flat().sort(openThenLast).slice(0, limit);
}

const openThenLast = (one: RunOfUser, other: RunOfUser): number =>
  Number(one.finishedAt !== null) - Number(other.finishedAt !== null) ||
  (other.finishedAt ?? other.startedAt).getTime() - (one.finishedAt ?? one.startedAt).getTime();

async function listRunsIn(
  client: Client,
  filter: RunFilter,
  limit: number,
  failureCode: FailureCode | null,
): Promise<RunOfUser[]> {
  const found: RunOfUser[] = [];
  const listed = client.workflow.list({ query: allRunsQuery(filter), pageSize: Math.min(PAGE_SIZE, limit) });
  const pages = listed[Symbol.asyncIterator]();
  for (let looked = 0; found.length < limit && looked < LOOKED_AT_FOR_CODE; looked += 1) {
    const next = await withCallDeadline(client.connection, () => pages.next());
    if (next.done === true) break;
    const userId = next.value.typedSearchAttributes.get(MISSION_SEARCH_ATTRIBUTES.userId) ?? '';
    const run = toMissionRun(next.value, userId);
    if (run === null) continue;
    const result = await withCallDeadline(client.connection, () => resultOf(client, run));
    if (failureCode !== null && result?.failureCode !== failureCode) continue;
    found.push({ ...run, userId, result });
  }
  return found;
}
