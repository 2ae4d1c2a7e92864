/** `yarn dev`: the whole system on this machine until Ctrl-C; API and workers restart when a source file changes. */
import { watch } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { startStack, type Stack } from '#dev/stack.ts';

const root = resolve(import.meta.dirname, '..');
/** What API and workers load. Not `node --watch`: it breaks the SDK's workflow threads. */
const WATCHED =
  'activities api config crypto db domain health http llm logging metrics research runs schedules temporal vault worker workflows'.split(
    ' ',
  );
const DEVELOPER = 'user-dev';

const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stopping.abort());

const stack = await startStack({
  ports: { api: 3066, ui: 8233 },
  say: (line) => console.log(`starting: ${line}`),
});
try {
  console.log(`
API          ${stack.apiUrl}
Temporal     ${stack.temporal.address}, UI ${stack.temporal.uiUrl ?? 'none'}
Change log   ${stack.databases.asWebApp.syncUrl}
Vault        ${stack.databases.asWebApp.authUrl}
Logs         ${stack.directory}
Token of ${DEVELOPER}, 15 minutes:
${await stack.issuer.issueToken({ sub: DEVELOPER })}

Ctrl-C ends everything and removes its data.`);
  await restartOnChanges(stack);
} finally {
  await stack.stop();
}
process.exit(0);

/** Until the signal: changes that come while a restart is under way lead to one more. */
async function restartOnChanges(running: Stack): Promise<void> {
  let changed = false;
  let restarting = false;
  const restart = async (): Promise<void> => {
    changed = true;
    if (restarting) return;
    restarting = true;
    while (changed && !stopping.signal.aborted) {
      changed = false;
      console.log('changed: restarting API and workers');
      try {
        await running.restartPrograms();
        console.log('restarted');
      } catch (error) {
        console.error(error instanceof Error ? error.message : error);
      }
    }
    restarting = false;
  };
  await Promise.all(WATCHED.map((folder) => follow(join(root, folder), restart)));
}

async function follow(folder: string, onChange: () => Promise<void>): Promise<void> {
  try {
    for await (const { filename } of watch(folder, { recursive: true, signal: stopping.signal })) {
      if (filename !== null && /(?<!\.test)\.(ts|json)$/.test(filename)) void onChange();
    }
  } catch (error) {
    if (!stopping.signal.aborted) throw error;
  }
}
