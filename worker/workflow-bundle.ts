import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, type WorkerOptions } from '@temporalio/worker';
import { FAILURE_CONVERTER_PATH } from '#temporal/data-converter.ts';

const WORKFLOWS_PATH = fileURLToPath(new URL('../workflows/index.ts', import.meta.url));

/** Production runs a bundle that was made ahead (`yarn build:workflows`); a development process bundles at start. */
export const workflowSource = (
  bundlePath: string | null,
): Pick<WorkerOptions, 'workflowBundle' | 'workflowsPath'> =>
  bundlePath === null ? { workflowsPath: WORKFLOWS_PATH } : { workflowBundle: { codePath: bundlePath } };

/** @returns the code of all workflows, with the failure converter that our data converter names */
export async function bundleWorkflows(): Promise<string> {
  const { code } = await bundleWorkflowCode({
    workflowsPath: WORKFLOWS_PATH,
    failureConverterPath: FAILURE_CONVERTER_PATH,
  });
  return code;
}
