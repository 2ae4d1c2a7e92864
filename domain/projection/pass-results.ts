/** What a pass of the projection did; answered by `POST /internal/tick`. */
export interface ProjectionPassResult {
  /** Rows of the change log taken in. */
  readonly changes: number;
  /** Missions and agents that they belong to. */
  readonly records: number;
  /** Schedules created, updated or removed. */
  readonly schedules: number;
  /** Runs started because their instant had passed. */
  readonly started: number;
  /** Missions whose schedule is still out of date. */
  readonly pending: number;
}

/** What a full reconcile found and mended: counts only, they stand in Temporal and in the log. */
export interface ReconcileResult {
  /** Missions that should have a schedule. */
  readonly missions: number;
  /** Schedules found, before anything was mended. */
  readonly schedules: number;
  /** Schedules that were missing. */
  readonly created: number;
  /** Schedules that had been changed by hand. */
  readonly updated: number;
  /** Schedules whose input was under another codec key than the first; not in results of versions before. */
  readonly reencrypted?: number;
  /** Schedules that lay in another namespace than their user's; not in results of versions before. */
  readonly moved?: number;
  /** Schedules of missions that should have none. */
  readonly removed: number;
  /** Second schedules of a mission, under another id. */
  readonly duplicatesRemoved: number;
  /** Runs started because their instant had passed. */
  readonly started: number;
  /** Missions that could not be mended; the next reconcile tries again. */
  readonly failed: number;
}
