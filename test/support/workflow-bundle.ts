import { existsSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inject } from 'vitest';
import { bundleWorkflows } from '#worker/workflow-bundle.ts';

/** The bundle of our workflows, made once for the whole run. */
export async function workflowBundlePath(): Promise<string> {
  const file = join(inject('serverLogDirectory'), 'workflow-bundle.js');
  if (existsSync(file)) return file;
  const code = await bundleWorkflows();
  // Two test files may make it at once; whoever renames last wins, and both are the same.
  writeFileSync(`${file}.${process.pid}`, code);
  renameSync(`${file}.${process.pid}`, file);
  return file;
}
