import type { InjectedSinks } from '@temporalio/worker';
import type { Sinks } from '@temporalio/workflow';
import type { Logger } from 'pino';
import type { RunReports } from '#domain/run/run-report.ts';
import { observeAgentWait, observeRun, observeStartLag } from '#metrics/runs.ts';

/** One line when a run begins and one when it ends, with ids, counts and codes; and the figures of runs. */
export const createRunReports = (logger: Logger): InjectedSinks<RunReports & Sinks> => ({
  runs: {
    begun: {
      fn: ({ workflowId, runId }, begun) => logger.info({ workflowId, runId, ...begun }, 'run started'),
    },
    passedGates: { fn: (_, lagMs) => observeStartLag(lagMs) },
    waitedForAgent: { fn: (_, waitedMs) => observeAgentWait(waitedMs) },
    ended: {
      fn: ({ workflowId, runId }, ended) => {
        observeRun(ended);
        logger.info({ workflowId, runId, ...ended }, 'run ended');
      },
    },
  },
});
