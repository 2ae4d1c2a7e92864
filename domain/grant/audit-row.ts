/** A row of `mana_ai.decrypt_audit` (docs/platform.md section 8) with its place in its user's chain. */
export interface AuditRow {
  readonly seq: bigint;
  readonly id: bigint;
  readonly userId: string;
  readonly missionId: string;
  readonly iterationId: string | null;
  readonly tableName: string;
  readonly recordId: string;
  readonly status: string;
  readonly reason: string | null;
  /** Microseconds since 1970: the database's precision, which a Date would cut. */
  readonly tsMicros: bigint;
}
