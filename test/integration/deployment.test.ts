import { readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';
import { buildSteps } from '#test/support/image-build.ts';
import { contextPaths, isInContext } from '#test/support/image-context.ts';

const root = join(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

const { scripts } = JSON.parse(read('package.json')) as {
  readonly scripts: Readonly<Record<string, string>>;
};

/** Top folder or root file of each import of ours, and the name of each package. */
function importedBy(source: string): string[] {
  const imports = [
    ...read(source).matchAll(
      /^(?:import|export)\s(?!type\b)[\w\s{},*$]+?\sfrom '([^']+)'|\bimport\('([^']+)'\)/gm,
    ),
  ];
  return imports
    .map(([, fixed, dynamic]) => fixed ?? dynamic ?? '')
    .filter((specifier) => !specifier.startsWith('node:'))
    .map((specifier) => {
      if (specifier.startsWith('#')) return specifier.slice(1).split('/')[0] ?? '';
      if (!specifier.startsWith('.'))
        return specifier
          .split('/')
          .slice(0, specifier.startsWith('@') ? 2 : 1)
          .join('/');
      const [top = ''] = normalize(join(dirname(source), specifier)).split('/');
      return top;
    });
}

describe('Dockerfile', () => {
  const text = read('Dockerfile');
  const lastStage = text.slice(text.lastIndexOf('FROM '));
  const sent = contextPaths();
  const sources = sent.filter((path) => path.endsWith('.ts'));
  const named = [...new Set(sent.map((path) => path.split('/')[0] ?? ''))];

  it('ends as a user without rights, in production, with the API by default', () => {
    expect(lastStage).toMatch(/^USER node$/m);
    expect(lastStage).toContain('NODE_ENV=production');
    expect(lastStage).toContain(
      `CMD ${JSON.stringify(scripts['start:api']?.split(' ')).replaceAll('","', '", "')}`,
    );
  });

  it('installs by the lock file with the Yarn of package.json, and bundles the workflows ahead', () => {
    const { packageManager } = JSON.parse(read('package.json')) as { readonly packageManager: string };
    expect(text).toContain(`@yarnpkg/cli-dist@${packageManager.replace('yarn@', '')}`);
    expect(text).toContain('install --immutable');
    expect(text).toContain('workspaces focus --production');
    expect(text).toContain('build:workflows');
    expect(scripts['build:workflows']).toBeDefined();
  });

  it('drops what Temporal brings for other platforms, and has that Yarn in place of the classic one', () => {
    const steps = buildSteps();
    const kinds = new Set(steps.map(({ instruction }) => instruction));
    // What bin/yarn test:image can carry out.
    expect(kinds).toEqual(new Set(['WORKDIR', 'ARG', 'RUN', 'COPY']));
    expect(steps.at(-1)?.rest).toMatch(
      /^own=\$\(node .*getPrebuiltTargetName.*\) && find .*releases .*! -name "\$own"/,
    );
    expect(lastStage).toMatch(
      /^COPY --from=build --chmod=755 \S+\/cli-dist\/bin\/yarn\.js \/usr\/local\/bin\/yarn$/m,
    );
    expect(lastStage).toContain('rm -rf /opt/yarn-v* /usr/local/bin/yarn');
  });

  it('names the command of every process, as package.json has it', () => {
    for (const name of ['start:api', 'start:worker', 'db:migrate', 'temporal:setup']) {
      expect(text).toContain(scripts[name]);
    }
  });

  it('listens where other containers reach it', () => {
    expect(lastStage).toContain('HOST=0.0.0.0');
  });

  it('sees source and migrations alone: no test, nothing of development', () => {
    expect(named.filter((path) => /env|dev|test|bench|eval|docs|node_modules/.test(path))).toEqual([]);
    expect(sources.filter((path) => path.endsWith('.test.ts'))).toEqual([]);
    expect(sent.filter((path) => path.startsWith('scripts/'))).toEqual(['scripts/build-workflows.ts']);
    expect(sent.filter((path) => path.endsWith('.sql')).length).toBeGreaterThan(30);
  });

  it.each([
    ...[
      '.env',
      '.env.local',
      'docker/compose.env',
      'activities/.env',
      'config/.env.production',
      'db/.pgpass',
    ],
    ...[
      'api/secret.pem',
      'crypto/private.key',
      'vault/kek.txt',
      'domain/keys.json',
      'migrations/dump.sql.gz',
    ],
    ...['operator-token.txt', 'scripts/secrets.ts', '.npmrc', '.git/config', 'worker/.ssh/id_ed25519'],
  ])('does not see %s of a working folder', (path) => {
    expect(isInContext(path)).toBe(false);
  });

  it('has everything that its code imports: our files, and packages of production', () => {
    const { dependencies } = JSON.parse(read('package.json')) as {
      readonly dependencies: Record<string, string>;
    };
    const allowed = new Set([...named, ...Object.keys(dependencies)]);
    const missing = sources.flatMap((source) =>
      importedBy(source)
        .filter((imported) => !allowed.has(imported))
        .map((imported) => `${source}: ${imported}`),
    );
    expect(sources).toContain('worker.ts');
    expect(missing).toEqual([]);
  });

  it('uses the bundle that it made', () => {
    expect(read('scripts/build-workflows.ts')).toContain("'dist/workflow-bundle.js'");
    expect(lastStage).toContain('WORKFLOW_BUNDLE=/app/dist/workflow-bundle.js');
  });
});
