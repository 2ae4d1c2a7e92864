import type { Client } from '@temporalio/client';
import { withCallDeadline } from '#temporal/connection.ts';
import { keyIdOf } from '#temporal/payload-codec.ts';

/** Runs of any kind that are open, by the codec key that their input is under. */
export interface OpenUnderKey {
  readonly keyId: string | null;
  readonly runs: number;
  readonly oldestStart: Date;
}

/**
 * Asks for the first event of each open run; one without an input counts for no key.
 *
 * @param atMost no more runs are looked at
 * @throws gRPC errors of the SDK
 */
export async function openRunsByKey(client: Client, atMost: number): Promise<OpenUnderKey[]> {
  const found = new Map<string | null, OpenUnderKey>();
  const listed = client.workflow.list({ query: `ExecutionStatus = 'Running'`, pageSize: 100 });
  const pages = listed[Symbol.asyncIterator]();
  for (let looked = 0; looked < atMost; looked += 1) {
    const next = await withCallDeadline(client.connection, () => pages.next());
    if (next.done === true) break;
    const { workflowId, runId, startTime } = next.value;
    const keyId = await inputKeyOf(client, workflowId, runId);
    const before = found.get(keyId);
    const oldestStart =
      before === undefined || startTime < before.oldestStart ? startTime : before.oldestStart;
    found.set(keyId, { keyId, runs: (before?.runs ?? 0) + 1, oldestStart });
  }
  return [...found.values()];
}

async function inputKeyOf(client: Client, workflowId: string, runId: string): Promise<string | null> {
  const { history } = await withCallDeadline(client.connection, () =>
    client.workflowService.getWorkflowExecutionHistory({
      namespace: client.options.namespace,
      execution: { workflowId, runId },
      maximumPageSize: 1,
    }),
  );
  const [payload] = history?.events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
  return payload === undefined ? null : keyIdOf(payload);
}
