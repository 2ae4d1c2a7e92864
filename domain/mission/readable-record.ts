/** A record that the run may read, decrypted where it was encrypted; a field that stays closed is absent. */
export interface ReadableRecord {
  readonly module: string;
  readonly table: string;
  readonly id: string;
  readonly fields: Readonly<Record<string, unknown>>;
}
