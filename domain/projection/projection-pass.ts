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
