import { withClient } from '#dev/platform-schema.ts';
import type { PlatformDatabases } from '#dev/databases.ts';

/** While `work` is under way the runner may not claim a mission: a fault of the database that only an operator can mend. */
export async function withoutRightToClaim<T>(
  databases: PlatformDatabases,
  work: () => Promise<T>,
): Promise<T> {
  const change = (statement: string): Promise<unknown> =>
    withClient(databases.superuser.syncUrl, (client) => client.query(statement));
  await change('revoke insert on mana_ai.run_slots from mana_missions_runner');
  try {
    return await work();
  } finally {
    await change('grant insert on mana_ai.run_slots to mana_missions_runner');
  }
}
