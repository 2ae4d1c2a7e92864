/** `bin/yarn dev`: the whole system on this machine until Ctrl-C; API and workers restart when a source file changes. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createDemoMissions } from '#dev/demo/missions.ts';
import { followSource } from '#dev/source-changes.ts';
import { startStack, type Stack } from '#dev/stack.ts';

const root = resolve(import.meta.dirname, '..');
/** Files that are loaded by no process of the product. */
const NOT_WATCHED = ['bench', 'commands', 'dev', 'eval', 'migrations', 'scripts', 'test'];
/** What API and workers load, as the package names it. Not `node --watch`: it breaks the SDK's workflow threads. */
const WATCHED = Object.values(
  (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { imports: Record<string, string> })
    .imports,
)
  .map((path) => path.replace(/^\.\/|\/\*$/g, ''))
  .filter((path) => !NOT_WATCHED.includes(path));
const TOKEN_DAYS = 30;

const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stopping.abort());

const stack = await startStack({
  ports: { api: 3566, ui: 8233 },
  say: (line) => console.log(`starting: ${line}`),
});
try {
  const { user, missions } = await createDemoMissions(stack, (line) => console.log(`missions: ${line}`));
  const token = await stack.issuer.issueToken({
    sub: user.userId,
    expiresInSeconds: TOKEN_DAYS * 24 * 60 * 60,
  });
  const runsUrl = (path: string) => `${stack.apiUrl}/api/v1/me/missions/${missions[0]?.missionId}/${path}`;
  console.log(`
API          ${stack.apiUrl}, described at ${stack.apiUrl}/openapi/
Temporal     ${stack.temporal.address}, UI ${stack.temporal.uiUrl ?? 'none'}
Change log   ${stack.databases.asWebApp.syncUrl}
Vault        ${stack.databases.asWebApp.authUrl}
Logs         ${stack.directory}
Token of ${user.userId}, whose three missions are due every hour, ${TOKEN_DAYS} days:
${token}

Run the first one now, and see its runs:
TOKEN=…
curl -X POST -H "authorization: Bearer $TOKEN" ${runsUrl('run')}
curl -H "authorization: Bearer $TOKEN" ${runsUrl('runs')}

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
  followSource(root, WATCHED, () => void restart(), stopping.signal);
  if (!stopping.signal.aborted) await once(stopping.signal, 'abort');
}
