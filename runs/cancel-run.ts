import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import type { ExecutionRef } from './run-execution.ts';
import { askTemporal } from '#temporal/ask-temporal.ts';
import { cancelRunSignal } from '#temporal/messages.ts';
import { namespacesOf, type Clients } from '#temporal/namespaces.ts';

/**
 * Tells a run that its user wants it cancelled, in whichever namespace it is.
 *
 * @returns false if the run has ended
 * @throws TemporalUnavailableError
 */
export async function cancelRun(clients: Clients, run: ExecutionRef): Promise<boolean> {
  for (const client of namespacesOf(clients).all) if (await cancelIn(client, run)) return true;
  return false;
}

async function cancelIn(client: Client, { workflowId, runId }: ExecutionRef): Promise<boolean> {
  return askTemporal(client, async () => {
    try {
      await client.workflow.getHandle(workflowId, runId).signal(cancelRunSignal);
      return true;
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return false;
      throw error;
    }
  });
}
