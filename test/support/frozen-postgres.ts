import { Client } from 'pg';
import type { EmbeddedCluster } from '#dev/postgres.ts';

/**
 * Stops every process of a PostgreSQL of the test's own where it is, as a machine does that hangs: connections stay open, new ones
 * are taken by the kernel, and nothing answers.
 *
 * @returns lets all of them go on
 */
export async function freezePostgres(cluster: EmbeddedCluster): Promise<() => Promise<void>> {
  const client = new Client({ connectionString: cluster.superuserUrl('postgres') });
  client.on('error', () => undefined);
  await client.connect();
  const frozen: number[] = [];
  const thaw = async (): Promise<void> => {
    for (const pid of frozen.splice(0)) process.kill(pid, 'SIGCONT');
    await client.end();
  };
  const freeze = (pid: number): void => {
    process.kill(pid, 'SIGSTOP');
    frozen.push(pid);
  };
  try {
    // It first: then nobody is born while the others are counted, and the last one counts itself.
    freeze(cluster.pid);
    const { rows } = await client.query<{ pid: number }>('select pid from pg_stat_activity');
    for (const { pid } of rows) freeze(pid);
  } catch (error) {
    await thaw();
    throw error;
  }
  return thaw;
}
