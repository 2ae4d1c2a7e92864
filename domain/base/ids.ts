/** Identifiers that must not be swapped. They are opaque text on the wire (docs/platform.md sections 1 to 3). */
declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

export type UserId = Branded<'UserId'>;
export type MissionId = Branded<'MissionId'>;
/** UUIDv5 of the due key; the same run of the same mission always gets the same one. */
export type IterationId = Branded<'IterationId'>;
/** Temporal's run id of one workflow execution. */
export type WorkflowRunId = Branded<'WorkflowRunId'>;

/** A user id of length zero would turn row-level security into "rows of nobody", so it is refused everywhere. */
export function toUserId(value: string): UserId {
  if (value.trim() === '') throw new TypeError('user id: found an empty text, expected a non-empty one');
  return value as UserId;
}

export const toMissionId = (value: string): MissionId => value as MissionId;
export const toIterationId = (value: string): IterationId => value as IterationId;
export const toWorkflowRunId = (value: string): WorkflowRunId => value as WorkflowRunId;
