import type { Client } from '@temporalio/client';
import proto from '@temporalio/proto';
import { withCallDeadline } from '#temporal/connection.ts';
import { isNotFoundFailure } from '#temporal/grpc-status.ts';
import { namespacesOf, type Clients } from '#temporal/namespaces.ts';

const { WORKFLOW_EXECUTION_STATUS_RUNNING: RUNNING, WORKFLOW_EXECUTION_STATUS_PAUSED: PAUSED } =
  proto.temporal.api.enums.v1.WorkflowExecutionStatus;

/**
 * Whether an execution goes on in one of the namespaces. All are asked: its user may have moved to another since it began, and one
 * that does not answer may have it.
 */
export async function isRunOpen(clients: Clients, workflowId: string, runId: string): Promise<boolean> {
  const { all } = namespacesOf(clients);
  const answers = await Promise.all(all.map((client) => isOpenIn(client, workflowId, runId)));
  return answers.includes(true);
}

/**
 * Whether an execution goes on, now or once an operator's pause ends; one that the server no longer knows does not. Whoever
 * asks may take over what the run holds, so the service is asked itself: for the SDK, any NOT_FOUND is such an execution.
 */
async function isOpenIn(client: Client, workflowId: string, runId: string): Promise<boolean> {
  const { namespace } = client.options;
  try {
    const { workflowExecutionInfo } = await withCallDeadline(client.connection, () =>
      client.workflowService.describeWorkflowExecution({ namespace, execution: { workflowId, runId } }),
    );
    const status = workflowExecutionInfo?.status;
    return status === RUNNING || status === PAUSED;
  } catch (error) {
    if (isNotFoundFailure(error)) return false;
    throw error;
  }
}
