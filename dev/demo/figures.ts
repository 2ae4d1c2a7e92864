import { existsSync, readFileSync } from 'node:fs';
import { withClient } from '#dev/platform-schema.ts';
import type { Stack } from '#dev/stack.ts';
import { missionAt } from '#dev/web-app.ts';
import type { DemoData } from './missions.ts';

type Fields = Readonly<Record<string, unknown>>;

/** What the demo reports, every figure counted where it happened. */
export interface Figures {
  readonly missions: number;
  readonly iterations: number;
  readonly failedIterations: number;
  readonly auditRows: number;
  readonly llmCalls: number;
  /** Closed runs, by the Temporal server. */
  readonly runs: number;
}

export const iterationsOf = async (stack: Stack, data: DemoData, missionId: string): Promise<Fields[]> => {
  const read = await stack.webApp.read(data.user, missionAt(missionId));
  const iterations = read?.record['iterations'];
  return Array.isArray(iterations) ? (iterations as Fields[]) : [];
};

export async function countFigures(stack: Stack, data: DemoData): Promise<Figures> {
  const all = await Promise.all(data.missions.map(({ missionId }) => iterationsOf(stack, data, missionId)));
  const iterations = all.flat();
  return {
    missions: await countRows(
      stack,
      `select count(distinct record_id) from public.sync_changes where app_id = 'ai' and table_name = 'aiMissions'`,
    ),
    iterations: iterations.length,
    failedIterations: iterations.filter((iteration) => iteration['overallStatus'] === 'failed').length,
    auditRows: await countRows(stack, 'select count(*) from mana_ai.decrypt_audit'),
    llmCalls: gatewayRequests(stack).length,
    runs: await closedRuns(stack),
  };
}

const countRows = (stack: Stack, query: string): Promise<number> =>
  withClient(stack.databases.superuser.syncUrl, async (client) => {
    const { rows } = await client.query<{ count: string }>(query);
    return Number(rows[0]?.count);
  });

/** The gateway's own record: one JSON line a request, with the whole body. */
export const gatewayRequests = (stack: Stack): string[] =>
  existsSync(stack.gatewayLogFile)
    ? readFileSync(stack.gatewayLogFile, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
    : [];

/** Asked by id where visibility may lag behind. */
async function closedRuns({ client }: Stack): Promise<number> {
  let closed = 0;
  for await (const { status } of client.workflow.list({ query: `WorkflowType = 'missionRun'` })) {
    if (status.name === 'COMPLETED') closed += 1;
  }
  return closed;
}

export const auditRows = (
  stack: Stack,
): Promise<{ table_name: string; record_id: string; status: string }[]> =>
  withClient(stack.databases.superuser.syncUrl, async (client) => {
    const { rows } = await client.query<{ table_name: string; record_id: string; status: string }>(
      'select table_name, record_id, status from mana_ai.decrypt_audit order by id',
    );
    return rows;
  });
