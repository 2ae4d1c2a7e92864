import type { SystemSql } from './client.ts';

/** Rows of each table that one sweep deletes: fast enough for its statement's time, and a million a day. */
const AT_MOST = 10_000;

/** How many rows of each kind went. */
export interface DeletedRows {
  readonly usageRows: number;
  /** Snapshots of missions that are gone, likewise of agents. */
  readonly missions: number;
  readonly agents: number;
  readonly grants: number;
}

/**
 * Deletes what has been kept for its time (docs/operations.md, "How long what is kept"). How long that is, only the database says:
 * migration `retention`.
 */
export async function deleteOutdated(tx: SystemSql): Promise<DeletedRows> {
  const [row] = await tx<DeletedRows[]>`
    select usage_rows::float8 as "usageRows", missions::float8 as missions, agents::float8 as agents,
      grants::float8 as grants
    from mana_ai.delete_outdated(${AT_MOST}::integer)`;
  return row ?? { usageRows: 0, missions: 0, agents: 0, grants: 0 };
}
