/**
 * What the checker looks at, as it stands in the databases, in the gateway's log and in Temporal. Nothing here knows the
 * product's code: names of tables and forms of rows are those of docs/platform.md and docs/audit.md.
 */
export interface Facts {
  /** Milliseconds since 1970, by the database's clock. */
  readonly checkedAtMs: number;
  /** Rows of table `aiMissions`. */
  readonly missionRows: readonly ChangeRow[];
  readonly usage: readonly {
    readonly missionId: string;
    readonly round: number;
    readonly recordedAtMs: number;
  }[];
  readonly audit: readonly AuditRow[];
  readonly grants: readonly GrantRow[];
  /** By table, of those that must be empty when no run is under way. */
  readonly leftovers: Readonly<Record<string, number>>;
  readonly runs: readonly Run[];
  /** Ids of missions that have a schedule, one for each schedule. */
  readonly scheduledMissions: readonly string[];
  readonly asked: readonly Asked[];
  /** Places in which the mark of encrypted texts was found. */
  readonly markedPlaces: readonly string[];
}

export interface ChangeRow {
  readonly id: string;
  readonly userId: string;
  readonly missionId: string;
  readonly op: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly fieldMeta: Readonly<Record<string, unknown>>;
  readonly clientId: string;
  readonly createdAtMs: number;
}

export interface AuditRow {
  readonly userId: string;
  readonly seq: bigint;
  readonly id: bigint;
  readonly missionId: string;
  readonly iterationId: string | null;
  readonly tableName: string;
  readonly recordId: string;
  readonly status: string;
  readonly reason: string | null;
  /** Microseconds since 1970. */
  readonly tsMicros: bigint;
  readonly hash: Buffer;
}

export interface GrantRow {
  readonly missionId: string;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
  readonly revokedAtMs: number | null;
}

export interface Run {
  readonly workflowId: string;
  readonly runId: string;
  /** Of the search attribute. */
  readonly missionId: string;
  readonly isRunning: boolean;
}

/** A line of the gateway's log. */
export interface Asked {
  readonly idempotencyKey: string | null;
  /** As it came over the wire. */
  readonly body: string;
  readonly askedAtMs: number;
  /** When a whole reply that can be used was handed out; null: never. */
  readonly answeredAtMs: number | null;
}

/** Every encrypted text of a load begins like this, and no other text does. */
export const MARK = 'MARK-KRAM-FAULT-SUITE';

/** Stands in an encrypted field of a record; who finds it in clear knows which record was opened. */
export const markOf = (table: 'aiMissions' | 'notes', recordId: string): string =>
  `${MARK}-${table}-${recordId}-END`;

/** Stands in the objective of each mission, so that the gateway's log tells them apart. */
export const nameOf = (missionId: string): string => `MISSION-${missionId}-`;
