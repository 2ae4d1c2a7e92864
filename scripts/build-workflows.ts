import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { bundleWorkflows } from '#worker/workflow-bundle.ts';
import { endCommandOnUncaughtErrors } from '#logging/logger.ts';

endCommandOnUncaughtErrors('build:workflows');

/** `bin/yarn build:workflows [file]`: the bundle that production workers load (`WORKFLOW_BUNDLE`). */
const file = resolve(process.argv[2] ?? 'dist/workflow-bundle.js');
const code = await bundleWorkflows();
await mkdir(dirname(file), { recursive: true });
// A worker that starts meanwhile must not read half of it.
await writeFile(`${file}.${process.pid}.tmp`, code);
await rename(`${file}.${process.pid}.tmp`, file);
console.log(`${file}: ${Math.round(code.length / 1024)} KiB`);
