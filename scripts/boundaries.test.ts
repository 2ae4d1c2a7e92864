import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { cruise, type ICruiseResult } from 'dependency-cruiser';
import extractDepcruiseOptions from 'dependency-cruiser/config-utl/extract-depcruise-options';
import { beforeAll, describe, expect, it } from 'vitest';
import { createTemporaryDirectory } from '#dev/guardian.ts';

/** Each rule of the boundaries, tried on a small tree of made-up files and packages that breaks it. */
const root = resolve(import.meta.dirname, '..');
const options = await extractDepcruiseOptions(join(root, 'dependency-cruiser.mjs'));
const ruleNames = (options.ruleSet?.forbidden ?? []).map(({ name }) => name ?? '');

/** From below to above, with the rule that keeps each room out of the ones above it. */
const roomsOf = (house: string, rule: RegExp, last: string): readonly (readonly [string, string])[] => [
  ...ruleNames.flatMap((name) => {
    const room = rule.exec(name)?.[1];
    return room === undefined ? [] : [[`${house}/${room}`, name] as const];
  }),
  [`${house}/${last}`, ''],
];
const HOUSES = [
  roomsOf('domain', /^domain-(?!planner-.+-looks)(.+)-looks-down$/, 'projection'),
  roomsOf('domain/planner', /^domain-planner-(.+)-looks-down$/, 'prompt'),
];

/** Files of the tree, and what each of them imports. */
const FILES: Readonly<Record<string, readonly string[]>> = {
  'activities/projection/pass.ts': ['../../crypto/unwrap-grant.ts', '../../llm/gateway.ts'],
  'activities/runner/bad.ts': ['node:fs', 'pg', '../../workflows/mission-run.ts', '../../vault/open.ts'],
  'activities/runner/good.ts': [
    ...['../../crypto/unwrap-grant.ts', '../../db/client.ts', '../../llm/gateway.ts', 'node:crypto'],
    ...['@temporalio/activity', '../../research/deep.ts', '../../temporal/messages.ts'],
  ],
  'api/app.ts': ['fastify', '../db/client.ts', 'node:crypto', '../temporal/messages.ts', 'jose'],
  'api/bad.ts': ['../activities/runner/good.ts', 'pg', 'node:child_process', '@temporalio/worker'],
  'config.ts': ['./config/settings.ts'],
  'config/settings.ts': ['zod', '../domain/rule.ts', '../db/client.ts', 'node:child_process'],
  'crypto/unwrap-grant.ts': ['node:crypto', 'uuid', '../domain/rule.ts'],
  'crypto/unwrap-master-key.ts': ['node:crypto', 'node:fs', 'zod'],
  'db/client.ts': ['pg', 'node:crypto', '../domain/rule.ts', 'node:child_process', '../metrics/count.ts'],
  'dev/leading-up.ts': ['../eval/score.ts'],
  'dev/stack.ts': ['vitest', 'node:child_process'],
  ...Object.fromEntries(
    HOUSES.flatMap((rooms) =>
      rooms.map(([room], index) => [
        `${room}/rule.ts`,
        rooms.slice(index + 1).map(([above]) => `#${above}/rule.ts`),
      ]),
    ),
  ),
  'domain/circle.ts': ['./rule.ts', './gone.ts', 'brought-along'],
  'domain/rule.test.ts': ['node:fs', '../db/client.ts', 'vitest'],
  'domain/rule.ts': ['zod', './circle.ts', 'node:crypto', 'uuid'],
  'eval/score.ts': ['../dev/stack.ts', 'node:crypto', '../activities/runner/good.ts'],
  'http/bounded-fetch.ts': ['../domain/rule.ts'],
  'migrations/migrate.ts': ['pg', 'node:fs', '../db/client.ts', 'vitest'],
  'health/liveness.ts': ['node:http', '../logging/logger.ts', '../db/client.ts', 'vitest'],
  'llm/gateway.ts': ['openai', '../domain/rule.ts', '../metrics/count.ts'],
  'logging/logger.ts': ['pino', '../metrics/count.ts', 'vitest'],
  'metrics/count.ts': ['prom-client', 'pino', 'vitest'],
  'research/deep.ts': ['zod', '../http/bounded-fetch.ts', '../llm/gateway.ts'],
  'runs/ended.ts': ['@temporalio/client', '../schedules/mission.ts', '../db/client.ts'],
  'schedules/development.ts': ['../dev/stack.ts'],
  'schedules/mission.ts': ['@temporalio/client', '../db/client.ts', 'node:fs'],
  'commands/audit-verify.ts': ['../scripts/shared.ts', 'vitest'],
  'scripts/demo.ts': ['../dev/stack.ts', 'vitest'],
  'scripts/shared.ts': ['../dev/stack.ts'],
  'test/checker/check.ts': ['pg', 'node:crypto', '../../domain/rule.ts'],
  'temporal/connection.ts': ['@temporalio/client', '../db/client.ts', 'node:fs', '@temporalio/testing'],
  'tracing/otlp.ts': ['@opentelemetry/api', '../metrics/count.ts', 'pino'],
  'tracing/spans.ts': ['@opentelemetry/api', 'node:crypto'],
  'vault/open.ts': ['../crypto/unwrap-master-key.ts', '../db/client.ts', '../research/deep.ts', 'vitest'],
  'worker.ts': ['./worker/part.ts', './vault/open.ts', 'vitest'],
  'worker/part.ts': ['@temporalio/worker', '../activities/runner/good.ts', '../api/app.ts', 'vitest'],
  'temporal/messages.ts': ['@temporalio/workflow'],
  'workflows/mission-run.ts': ['../activities/runner/good.ts', '@temporalio/client'],
};
const PACKAGES = [
  ...[
    '@opentelemetry/api',
    '@temporalio/activity',
    '@temporalio/client',
    '@temporalio/worker',
    '@temporalio/workflow',
    'fastify',
  ],
  ...['jose', 'openai', 'pg', 'pino', 'prom-client', 'uuid', 'zod'],
];
const DEV_PACKAGES = ['@temporalio/testing', 'vitest'];

/** What breaks which rule; a target is the file, the package or the part of Node. */
const VIOLATIONS: readonly (readonly [rule: string, from: string, to: string])[] = [
  ['no-cycles', 'domain/circle.ts', 'domain/rule.ts'],
  ['no-unresolved', 'domain/circle.ts', './gone.ts'],
  ...(
    [
      'health/liveness',
      'migrations/migrate',
      'logging/logger',
      'metrics/count',
      'vault/open',
      'worker',
      'worker/part',
    ] as const
  ).map((from) => ['no-dev-dependencies-in-the-product', `${from}.ts`, 'vitest'] as const),
  ['no-dev-dependencies-in-the-product', 'commands/audit-verify.ts', 'vitest'],
  ['no-dev-dependencies-in-the-product', 'temporal/connection.ts', '@temporalio/testing'],
  ['no-undeclared-dependencies', 'domain/circle.ts', 'brought-along'],
  ['operators-commands-load-no-development-code', 'commands/audit-verify.ts', 'dev/stack.ts'],
  ['domain-is-pure', 'domain/rule.ts', 'crypto'],
  ['domain-is-pure', 'domain/rule.ts', 'uuid'],
  ...HOUSES.flatMap((rooms) =>
    rooms
      .slice(0, -1)
      .map(
        ([room, rule], index) => [rule, `${room}/rule.ts`, `${rooms[index + 1]?.[0] ?? ''}/rule.ts`] as const,
      ),
  ),
  ['crypto-is-bytes', 'crypto/unwrap-master-key.ts', 'fs'],
  ['crypto-is-bytes', 'crypto/unwrap-master-key.ts', 'zod'],
  ['workflows-are-deterministic', 'workflows/mission-run.ts', '@temporalio/client'],
  ['workflows-take-only-types-from-activities', 'workflows/mission-run.ts', 'activities/runner/good.ts'],
  ['db-is-sql', 'db/client.ts', 'child_process'],
  ['db-is-sql', 'db/client.ts', 'metrics/count.ts'],
  ['llm-is-the-gateway', 'llm/gateway.ts', 'metrics/count.ts'],
  ['research-is-its-services', 'research/deep.ts', 'llm/gateway.ts'],
  ['http-is-of-no-service', 'http/bounded-fetch.ts', 'domain/rule.ts'],
  ['migrations-stand-alone', 'migrations/migrate.ts', 'db/client.ts'],
  ['metrics-are-figures', 'metrics/count.ts', 'pino'],
  ['temporal-is-wiring', 'temporal/connection.ts', 'db/client.ts'],
  ['temporal-is-wiring', 'temporal/connection.ts', 'fs'],
  ['runs-are-executions', 'runs/ended.ts', 'db/client.ts'],
  ['schedules-are-schedules', 'schedules/mission.ts', 'db/client.ts'],
  ['schedules-are-schedules', 'schedules/mission.ts', 'fs'],
  ['activities-touch-the-world', 'activities/runner/bad.ts', 'fs'],
  ['activities-touch-the-world', 'activities/runner/bad.ts', 'pg'],
  ['api-is-http', 'api/bad.ts', 'pg'],
  ['api-is-http', 'api/bad.ts', 'child_process'],
  ['config-is-settings', 'config/settings.ts', 'db/client.ts'],
  ['config-is-settings', 'config/settings.ts', 'child_process'],
  ['worker-composes', 'worker/part.ts', 'api/app.ts'],
  ['worker-composes', 'worker.ts', 'vault/open.ts'],
  ['health-is-liveness', 'health/liveness.ts', 'db/client.ts'],
  ['tracing-is-spans', 'tracing/otlp.ts', 'pino'],
  ['opentelemetry-is-loaded-on-demand', 'tracing/spans.ts', '@opentelemetry/api'],
  ['logging-is-lines', 'logging/logger.ts', 'metrics/count.ts'],
  ['api-never-imports-activities', 'api/bad.ts', 'activities/runner/good.ts'],
  ['the-api-loads-no-worker', 'api/bad.ts', '@temporalio/worker'],
  ['activities-never-import-api-or-workflow-code', 'activities/runner/bad.ts', 'workflows/mission-run.ts'],
  ['only-the-runner-unwraps-grants', 'activities/projection/pass.ts', 'crypto/unwrap-grant.ts'],
  ['only-the-runner-unwraps-grants', 'api/bad.ts', 'crypto/unwrap-grant.ts'],
  ['only-the-vault-zone-opens-vaults', 'activities/runner/bad.ts', 'crypto/unwrap-master-key.ts'],
  ['no-way-to-the-llm-outside-the-runner', 'vault/open.ts', 'llm/gateway.ts'],
  ['vault-opens-vaults', 'vault/open.ts', 'research/deep.ts'],
  ['eval-judges-models-from-outside', 'eval/score.ts', 'activities/runner/good.ts'],
  ['the-checker-knows-what-is-stored', 'test/checker/check.ts', 'domain/rule.ts'],
  ['the-stack-knows-no-missions-to-score', 'dev/leading-up.ts', 'eval/score.ts'],
  ['only-entry-points-and-tests-use-development-code', 'schedules/development.ts', 'dev/stack.ts'],
];

/** Rules that a file breaks, as `rule: target`. */
const broken = new Map<string, Set<string>>();

beforeAll(async () => {
  const directory = createTemporaryDirectory('mana-boundaries-');
  try {
    writeTree(directory.path);
    const { output } = await cruise(Object.keys(FILES), { ...options, baseDir: directory.path });
    for (const { from, to, rule } of (output as ICruiseResult).summary.violations) {
      const found = broken.get(from) ?? new Set();
      broken.set(from, found.add(`${rule.name}: ${nameOf(to)}`));
    }
  } finally {
    directory.remove();
  }
}, 60_000);

const nameOf = (resolved: string): string =>
  /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(resolved)?.[1] ?? resolved.replace(/^node:/, '');

function writeTree(directory: string): void {
  const write = (path: string, text: string): void => {
    const file = join(directory, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  };
  for (const [path, imports] of Object.entries(FILES))
    write(path, imports.map((name, index) => `import * as x${index} from '${name}';\nx${index};\n`).join(''));
  for (const name of [...PACKAGES, ...DEV_PACKAGES, 'brought-along']) {
    // Where most packages keep what they export.
    const manifest = { name, version: '1.0.0', main: 'dist/index.js', types: 'dist/index.d.ts' };
    write(`node_modules/${name}/package.json`, JSON.stringify(manifest));
    write(`node_modules/${name}/dist/index.js`, '');
    write(`node_modules/${name}/dist/index.d.ts`, 'export {};');
  }
  const versions = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, '1.0.0']));
  const imports = { '#domain/*': './domain/*' };
  const manifest = { imports, dependencies: versions(PACKAGES), devDependencies: versions(DEV_PACKAGES) };
  write('package.json', JSON.stringify(manifest));
}

describe('the boundaries', () => {
  it.each(VIOLATIONS)('%s: %s does not import %s', (rule, from, to) => {
    expect([...(broken.get(from) ?? [])]).toContain(`${rule}: ${to}`);
  });

  it('each rule is tried', () => {
    expect([...new Set(VIOLATIONS.map(([rule]) => rule))].sort()).toEqual([...ruleNames].sort());
  });

  it.each([
    'activities/runner/good.ts',
    'api/app.ts',
    'scripts/demo.ts',
    'domain/rule.test.ts',
    'dev/stack.ts',
  ])('%s may import what it does', (file) => {
    expect([...(broken.get(file) ?? [])]).toEqual([]);
  });

  it('see every folder of the repository that holds code', () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      readonly scripts: Readonly<Record<string, string>>;
    };
    const seen = scripts['boundaries']?.split(' ') ?? [];
    const folders = readdirSync(root, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !/^\.|^(node_modules|dist)$/.test(entry.name))
      .map(({ name }) => name)
      .filter((name) =>
        readdirSync(join(root, name), { recursive: true }).some((file) => String(file).endsWith('.ts')),
      );
    expect(seen).toEqual(expect.arrayContaining(folders));
  });
});
