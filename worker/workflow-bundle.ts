import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, type WorkerOptions } from '@temporalio/worker';
import type { Logger } from 'pino';
import { createRunReports } from './run-reports.ts';
import { FAILURE_CONVERTER_PATH } from '#temporal/data-converter.ts';
import { createTraceReports, tracedActivities } from '#tracing/workers.ts';

const WORKFLOWS_PATH = fileURLToPath(new URL('../workflows/index.ts', import.meta.url));
const INTERCEPTORS = ['report-runs', 'pass-traces'].map((name) =>
  fileURLToPath(new URL(`../workflows/${name}.ts`, import.meta.url)),
);

/**
 * The workflows of a worker, and who listens to what they report. Production runs a bundle that was made ahead
 * (`bin/yarn build:workflows`); a development process bundles at start.
 */
export const workflowSource = (
  bundlePath: string | null,
  logger: Logger,
): Pick<WorkerOptions, 'workflowBundle' | 'workflowsPath' | 'interceptors' | 'sinks'> => ({
  ...(bundlePath === null ? { workflowsPath: WORKFLOWS_PATH } : { workflowBundle: { codePath: bundlePath } }),
  interceptors: {
    activity: tracedActivities(),
    ...(bundlePath === null && { workflowModules: INTERCEPTORS }),
  },
  sinks: { ...createRunReports(logger), ...createTraceReports() },
});

/** @returns the code of all workflows, with the failure converter that our data converter names */
export async function bundleWorkflows(): Promise<string> {
  const { code } = await bundleWorkflowCode({
    workflowsPath: WORKFLOWS_PATH,
    workflowInterceptorModules: INTERCEPTORS,
    failureConverterPath: FAILURE_CONVERTER_PATH,
  });
  return code;
}
