import { WorkflowNotFoundError } from '@temporalio/client';
import type { Client } from '@temporalio/client';
import { withCallDeadline } from '../temporal/connection.ts';

/** Whether an execution goes on, now or once an operator's pause ends; one that the server no longer knows does not. */
export async function isRunOpen(client: Client, workflowId: string, runId: string): Promise<boolean> {
  try {
    const description = await withCallDeadline(client.connection, () =>
      client.workflow.getHandle(workflowId, runId).describe(),
    );
    return description.status.name === 'RUNNING' || description.status.name === 'PAUSED';
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  }
}
