import type { RunEnd } from '#domain/run/run.ts';
import { SEARCH_ATTRIBUTE_NAMES, toKeyword } from '#domain/run/search-attributes.ts';
import { MISSION_RUN_WORKFLOW_TYPE } from '#temporal/messages.ts';
import { missionIdPrefix, missionScheduleId } from '#schedules/schedule-ids.ts';

const RUNS = `WorkflowType = '${MISSION_RUN_WORKFLOW_TYPE}'`;

/** A text in a visibility query. */
const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** On SQL visibility these never match: the server adds backslashes, which the database takes literally. */
const UNMATCHABLE = /["\\\p{Cc}]/u;

/**
 * Runs of one mission, and possibly of others, because ids longer than a Keyword are cut: compare the answers with
 * the ids. Ids are free text; those that no query matches are found by the workflow id, where they are encoded.
 */
export function missionRunsQuery(userId: string, missionId: string): string {
  if (UNMATCHABLE.test(userId + missionId)) {
    return `${RUNS} AND WorkflowId STARTS_WITH ${quoted(missionScheduleId(userId, missionId))}`;
  }
  const { userId: user, missionId: mission } = SEARCH_ATTRIBUTE_NAMES;
  return `${RUNS} AND ${user} = ${quoted(userId)} AND ${mission} = ${quoted(missionId)}`;
}

export const openMissionRunsQuery = (userId: string, missionId: string): string =>
  `${missionRunsQuery(userId, missionId)} AND ExecutionStatus = 'Running'`;

/**
 * Lists of whatever Temporal has of a user: runs, healings, and the workflows that keep schedules, which the server hides in a division of
 * their own. They may list more: compare the answers with the id.
 */
export function userExecutionsQueries(userId: string): string[] {
  const startsWith = (prefix: string) => `WorkflowId STARTS_WITH ${quoted(prefix)}`;
  const runs = missionIdPrefix('mission', userId);
  const schedulers = "TemporalNamespaceDivision = 'TemporalScheduler'";
  const queries = [
    startsWith(runs),
    startsWith(missionIdPrefix('heal', userId)),
    `${schedulers} AND ${startsWith(`temporal-sys-scheduler:${runs}`)}`,
  ];
  if (UNMATCHABLE.test(userId)) return queries;
  // Also what somebody made by hand under another id.
  const ofUser = `${SEARCH_ATTRIBUTE_NAMES.userId} = ${quoted(toKeyword(userId))}`;
  return [...queries, ofUser, `${schedulers} AND ${ofUser}`];
}

/** The run with this id, whoever's it is. */
export const runQuery = (runId: string): string => `${RUNS} AND RunId = ${quoted(runId)}`;

/** Which runs of all users are meant; null: whatever it is. */
export interface RunFilter {
  readonly userId: string | null;
  readonly missionId: string | null;
  readonly outcome: RunEnd | null;
  readonly isOpen: boolean;
}

/** Runs of all users: open ones first, then those that ended last, as the server lists them. */
export function allRunsQuery({ userId, missionId, outcome, isOpen }: RunFilter): string {
  const { userId: user, missionId: mission, outcome: ended } = SEARCH_ATTRIBUTE_NAMES;
  const conditions = [
    userId === null ? null : `${user} = ${quoted(userId)}`,
    missionId === null ? null : `${mission} = ${quoted(missionId)}`,
    outcome === null ? null : `${ended} = ${quoted(outcome)}`,
    isOpen ? `ExecutionStatus = 'Running'` : null,
  ];
  return [RUNS, ...conditions.filter((condition) => condition !== null)].join(' AND ');
}
