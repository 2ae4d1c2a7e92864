import { createHash } from 'node:crypto';

/**
 * Workflow ids are varchar(255) in SQL persistence, and the server puts up to 23 characters before a schedule's id and
 * 21 behind a run's. Real ids are some 36 characters; a hostile one must not break the store for others.
 */
const LONGEST_PART = 100;

/** The id of a mission's schedule, and the base of its runs' workflow ids: `mission:<userId>:<missionId>`. */
export const missionScheduleId = (userId: string, missionId: string): string =>
  `${missionIdPrefix('mission', userId)}${idPart(missionId)}`;

/** How the ids of all schedules and runs of a user begin; of healings, with `heal`. */
export const missionIdPrefix = (kind: 'mission' | 'heal', userId: string): string =>
  `${kind}:${idPart(userId)}:`;

/** The workflow id of a run that is started directly because its instant has passed. */
export const dueWorkflowId = (userId: string, missionId: string, instantMs: number): string =>
  `${missionScheduleId(userId, missionId)}:due:${instantMs}`;

/** The workflow id of a run that the user asked for in this second since 1970. */
export const nowWorkflowId = (userId: string, missionId: string, second: number): string =>
  `${missionScheduleId(userId, missionId)}:now:${second}`;

/**
 * Ids are free text, and `a:b` + `c` must not meet `a` + `b:c`: everything but letters, digits and `-_.!~*'()` is
 * percent-encoded. An overlong id is replaced by its hash, marked by `=`, which no encoded text contains.
 */
function idPart(id: string): string {
  const encoded = encodeURIComponent(id.toWellFormed());
  if (encoded.length <= LONGEST_PART) return encoded;
  return `sha256=${createHash('sha256').update(id, 'utf8').digest('hex')}`;
}
