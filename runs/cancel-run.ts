import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { OwnError } from '#domain/base/errors.ts';
import type { ExecutionRef } from './run-execution.ts';
import { askTemporal } from '#temporal/ask-temporal.ts';
import { cancelRunSignal } from '#temporal/messages.ts';
import { namespacesOf, type Clients } from '#temporal/namespaces.ts';

class NotHereError extends OwnError {
  override readonly name = 'NotHereError';
}

/**
 * Tells a run that its user wants it cancelled, in whichever namespace it is: all are asked at once, so that one that does not answer
 * keeps nobody's wish from a run in another.
 *
 * @returns false if the run has ended
 * @throws TemporalUnavailableError
 */
export async function cancelRun(clients: Clients, run: ExecutionRef): Promise<boolean> {
  const answers = namespacesOf(clients).all.map((client) => cancelIn(client, run));
  const found = answers.map(async (answer) => ((await answer) ? true : Promise.reject(new NotHereError())));
  try {
    return await Promise.any(found);
  } catch {
    // One that did not answer may have it.
    await Promise.all(answers);
    return false;
  }
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
