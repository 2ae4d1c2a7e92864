import type { InjectedSinks } from '@temporalio/worker';
import type { Sinks } from '@temporalio/workflow';
import type { Logger } from 'pino';
import type { RunReports } from '#domain/run/run-report.ts';

/** One line when a run begins and one when it ends, with ids, counts and codes. */
export const createRunReports = (logger: Logger): InjectedSinks<RunReports & Sinks> => ({
  runs: {
    begun: {
      fn: ({ workflowId, runId }, begun) => logger.info({ workflowId, runId, ...begun }, 'run started'),
    },
    ended: {
      fn: ({ workflowId, runId }, { phaseMs, ...ended }) =>
        logger.info({ workflowId, runId, ...ended, phaseMs }, 'run ended'),
    },
  },
});
