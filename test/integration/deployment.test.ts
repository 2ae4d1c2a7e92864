import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadConfig, type ProcessRole } from '#config.ts';
import { shapes } from '#config/settings.ts';
import { foreignVariables, PROCESS_ROLES } from '#config/zones.ts';
import { buildSteps } from '#test/support/image-build.ts';
import { contextPaths, isInContext } from '#test/support/image-context.ts';

const root = join(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

interface Service {
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly restart?: string;
  readonly stop_grace_period?: string;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly image?: string;
}
const composeText = read('docker-compose.temporal.yml');
const compose = parse(composeText, { merge: true }) as {
  readonly services: Readonly<Record<string, Service>>;
};
const service = (name: string): Service => compose.services[name] ?? {};

const processes: readonly [string, ProcessRole][] = [
  ['api', 'api'],
  ['worker-runner', 'runner'],
  ['worker-vault', 'vault'],
  ['worker-projection', 'projection'],
];
const scripts = (JSON.parse(read('package.json')) as { readonly scripts: Readonly<Record<string, string>> })
  .scripts;

const rsa = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
});
const key = (): string => randomBytes(32).toString('base64');
/** What an operator puts into docker/compose.env. */
const operator: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    [
      'SUPERUSER',
      'TEMPORAL',
      'SYNC_OWNER',
      'AUTH_OWNER',
      'API',
      'VAULT',
      'RUNNER',
      'PROJECTION',
      'MAINTENANCE',
    ].map((name) => [`DATABASE_PASSWORD_${name}`, randomBytes(12).toString('hex')]),
  ),
  TEMPORAL_CODEC_KEYS: `k1:${key()}`,
  MANA_AUTH_URL: 'http://mana-auth:3001',
  CORS_ORIGINS: 'https://app.example.org',
  MANA_AUTH_KEK: key(),
  MANA_AI_PRIVATE_KEY_PEM: rsa.privateKey.replaceAll('\n', '\\n'),
  MANA_AI_PUBLIC_KEY_PEM: rsa.publicKey.replaceAll('\n', '\\n'),
  MANA_LLM_URL: 'http://mana-llm:3025',
  MANA_SERVICE_KEY: randomBytes(24).toString('hex'),
  MANA_SERVICE_KEY_SHA256: createHash('sha256').update(randomBytes(8)).digest('hex'),
  OPERATOR_TOKEN_SHA256: createHash('sha256').update(randomBytes(8)).digest('hex'),
};
const REFERENCE = /\$\{(\w+)(?::([?-])([^}]*))?\}/g;

/** As Docker Compose fills in `${NAME:?}` and `${NAME:-default}`. */
const fillIn = (text: string): string =>
  text.replaceAll(
    REFERENCE,
    (_match, name: string, kind: string | undefined, fallback: string | undefined) => {
      const value = operator[name] ?? (kind === '-' ? fallback : undefined);
      if (value === undefined) throw new Error(`${name} is in no list of this test`);
      return value;
    },
  );
const environmentOf = (name: string): Record<string, string> =>
  Object.fromEntries(
    Object.entries(service(name).environment ?? {}).map(([key, value]) => [key, fillIn(value)]),
  );

describe('docker-compose.temporal.yml', () => {
  it.each(processes)('%s starts with its environment', (name, role) => {
    expect(() => loadConfig(role, environmentOf(name))).not.toThrow();
  });

  it.each(processes)('%s gets nothing of another zone and nothing that it does not read', (name, role) => {
    const given = Object.keys(service(name).environment ?? {});
    expect(given.filter((variable) => foreignVariables(role).includes(variable))).toEqual([]);
    const known = [...Object.keys(shapes[role]), 'SYNC_DATABASE_URL'];
    expect(
      given.filter((variable) => !known.includes(variable) && !variable.startsWith('TEMPORAL_')),
    ).toEqual([]);
  });

  it.each(processes)("%s gets the secrets of its zone only: no other one's value", (name) => {
    const text = Object.values(environmentOf(name)).join('\n');
    const mayHold: Readonly<Record<string, readonly string[]>> = {
      api: ['DATABASE_PASSWORD_API', 'MANA_AUTH_KEK', 'MANA_SERVICE_KEY_SHA256'],
      'worker-vault': ['DATABASE_PASSWORD_VAULT', 'MANA_AUTH_KEK'],
      'worker-runner': ['DATABASE_PASSWORD_RUNNER', 'MANA_AI_PRIVATE_KEY_PEM', 'MANA_SERVICE_KEY'],
      'worker-projection': ['DATABASE_PASSWORD_PROJECTION'],
    };
    const secrets = Object.keys(operator).filter((secret) => /PASSWORD|KEK|PRIVATE|SERVICE_KEY/.test(secret));
    const held = secrets.filter((secret) => text.includes(operator[secret] ?? ''));
    expect(new Set(held)).toEqual(new Set(mayHold[name]));
  });

  it.each(processes)('%s runs a command of package.json', (name) => {
    const command = service(name).command?.join(' ') ?? '';
    const known = [
      scripts['start:api'],
      ...['runner', 'vault', 'projection'].map((role) => `${scripts['start:worker'] ?? ''} ${role}`),
    ];
    expect(known).toContain(command);
  });

  it('the migration runs commands of package.json, with the owners and without any other secret', () => {
    const { command, environment, restart } = service('migrate');
    expect(command?.at(-1)).toBe(`${scripts['db:migrate'] ?? ''} && ${scripts['temporal:setup'] ?? ''}`);
    expect(Object.keys(environment ?? {}).sort()).toEqual([
      'MIGRATE_AUTH_DATABASE_URL',
      'MIGRATE_DATABASE_URL',
      'TEMPORAL_ADDRESS',
      'TEMPORAL_NAMESPACE',
    ]);
    expect(restart).toMatch(/^on-failure/);
  });

  it.each(processes)(
    '%s waits for the migration, is probed, restarted and given time to drain',
    (name, role) => {
      const { depends_on, healthcheck, restart, stop_grace_period, ports } = service(name);
      expect(depends_on).toEqual({ migrate: { condition: 'service_completed_successfully' } });
      expect(healthcheck?.test.every((word) => typeof word === 'string')).toBe(true);
      expect(healthcheck?.test.at(-1)).toContain('/ready');
      expect(restart).toBe('unless-stopped');
      expect(Number.parseInt(stop_grace_period ?? '0', 10)).toBeGreaterThanOrEqual(45);
      const port = environmentOf(name)[role === 'api' ? 'PORT' : 'HEALTH_PORT'];
      expect(ports).toEqual([`127.0.0.1:${port ?? ''}:${port ?? ''}`]);
    },
  );

  it('every port is bound to this machine alone', () => {
    const ports = Object.values(compose.services).flatMap((each) => each.ports ?? []);
    expect(ports.length).toBeGreaterThan(0);
    expect(ports.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([]);
  });

  it('no secret stands in the file, and every one must be given', () => {
    const references = [...composeText.matchAll(REFERENCE)];
    const optional = references.filter(([, , kind]) => kind !== '?').map(([, name]) => name);
    expect(new Set(optional)).toEqual(
      new Set([
        ...[
          'TEMPORAL_NAMESPACE',
          'LOG_LEVEL',
          'DATABASE_PREPARED_STATEMENTS',
          'POLICY_MODE',
          ...[
            'MANA_LLM_CONTEXT_TOKENS',
            'MANA_LLM_MAX_TOKENS',
            'MANA_LLM_TIMEOUT_SECONDS',
            'MANA_LLM_MAX_IN_FLIGHT',
          ],
          'DEFAULT_TOKENS_PER_DAY',
          'OPENAPI_PAGE',
          'TEMPORAL_CODEC_ACCEPT_PLAINTEXT',
        ],
        ...['MANA_API_URL', 'MANA_RESEARCH_URL', 'DEEP_RESEARCH_ENABLED'],
      ]),
    );
    // A bare reference would be filled in with nothing.
    expect(composeText.match(/\$(?!\{\w+:[?-])/g)).toBeNull();
    for (const [, value] of Object.entries(compose.services).flatMap(([, each]) =>
      Object.entries(each.environment ?? {}),
    )) {
      expect(value).not.toMatch(/:\/\/[^:/]+:(?!\$\{)[^@]*@/);
    }
  });

  it('the example of its environment names exactly what it refers to', () => {
    const named = [...read('docker/compose.env.example').matchAll(/^([A-Z]\w*)=/gm)].map(([, name]) => name);
    const required = [...composeText.matchAll(/\$\{(\w+):\?/g)].map(([, name]) => name);
    expect(new Set(named)).toEqual(new Set(required));
    expect(new Set(Object.keys(operator))).toEqual(new Set(required));
  });

  it('the files that it mounts exist', () => {
    const mounted = Object.values(compose.services)
      .flatMap((each) => each.volumes ?? [])
      .filter((volume) => volume.startsWith('./'))
      .map((volume) => volume.split(':')[0] ?? '');
    expect(mounted.length).toBeGreaterThan(0);
    expect(mounted.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });

  it('the Temporal server has fairness switched on, without which our fairness keys do nothing', () => {
    const config = parse(read('docker/temporal-dynamic-config.yaml')) as Record<string, unknown>;
    expect(config['matching.enableFairness']).toEqual([{ value: true }]);
    const { environment, volumes } = service('temporal');
    const path = environment?.['DYNAMIC_CONFIG_FILE_PATH'] ?? '';
    expect(volumes?.[0]).toContain(`/etc/temporal/${path}:ro`);
  });

  it('images have a version', () => {
    const images = Object.values(compose.services).map((each) => each.image ?? '');
    for (const image of images.filter((name) => name !== 'mana-missions')) expect(image).toMatch(/:\d/);
  });
});

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

  it('the API listens where other containers reach it', () => {
    expect(lastStage).toContain('HOST=0.0.0.0');
    expect(loadConfig('api', { ...environmentOf('api'), HOST: '0.0.0.0' }).host).toBe('0.0.0.0');
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

it('each of the processes has a service', () => {
  const roles = processes.map(([, role]) => role);
  expect(new Set(roles)).toEqual(new Set(PROCESS_ROLES.filter((role) => role !== 'all')));
});
