import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { parseEnv } from 'node:util';
import { Ajv } from 'ajv';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadConfig, type ProcessRole } from '#config.ts';
import { SECRETS, shapes } from '#config/settings.ts';
import { foreignVariables, PROCESS_ROLES } from '#config/zones.ts';
import { createTemporaryDirectory, type TemporaryDirectory } from '#dev/guardian.ts';
import { dynamicConfig, temporalCliPath } from '#dev/temporal-server.ts';

/** docker-compose.temporal.yml as text, with the secrets that docker/make-secrets.mjs makes and the example of its environment. */
const root = join(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

interface Service {
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly secrets?: readonly string[];
  readonly networks: readonly string[];
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly restart?: string;
  readonly mem_limit?: string;
  readonly logging?: { readonly options: Readonly<Record<string, string>> };
  readonly stop_grace_period?: string;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly image?: string;
}
interface Network {
  readonly internal?: boolean;
  readonly external?: boolean;
  readonly name?: string;
  readonly driver_opts?: Readonly<Record<string, string>>;
}
const composeText = read('docker-compose.temporal.yml');
const compose = parse(composeText, { merge: true }) as {
  readonly services: Readonly<Record<string, Service>>;
  readonly networks: Readonly<Record<string, Network | null>>;
  readonly secrets: Readonly<Record<string, { readonly file: string }>>;
};
const services = Object.entries(compose.services);
const service = (name: string): Service => {
  const found = compose.services[name];
  if (found === undefined) throw new Error(`there is no service ${name}`);
  return found;
};

const processes: readonly [string, ProcessRole][] = [
  ['api', 'api'],
  ['worker-runner', 'runner'],
  ['worker-vault', 'vault'],
  ['worker-projection', 'projection'],
];
const { scripts } = JSON.parse(read('package.json')) as {
  readonly scripts: Readonly<Record<string, string>>;
};

let directory: TemporaryDirectory;
/** What an operator puts into docker/compose.env. */
let operator: NodeJS.Dict<string> = {};
const makeSecrets = (): string =>
  execFileSync(process.execPath, [join(root, 'docker/make-secrets.mjs'), directory.path], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });

beforeAll(() => {
  directory = createTemporaryDirectory('mana-compose-');
  operator = { ...parseEnv(read('docker/compose.env.example')), ...parseEnv(makeSecrets()) };
});
afterAll(() => directory.remove());

const REFERENCE = /\$\{(\w+):([?+-])([^}]*)\}/g;

/** As Docker Compose fills in `${NAME:?}`, `${NAME:-default}` and `${NAME:+instead}`. */
const fillIn = (text: string, given = operator): string =>
  text.replaceAll(REFERENCE, (_match, name: string, kind: string, word: string) => {
    const value = given[name] ?? '';
    if (kind === '+') return value === '' ? '' : word;
    if (value === '' && kind === '?') throw new Error(`${name} has to be given`);
    return value === '' ? word : value;
  });

/** With secrets where this machine has them. */
const environmentOf = (name: string, given = operator): Record<string, string> =>
  Object.fromEntries(
    Object.entries(service(name).environment ?? {}).map(([variable, text]) => {
      const value = fillIn(text, given);
      const [, secret] = /^\/run\/secrets\/(\w+)$/.exec(value) ?? [];
      return [variable, secret === undefined ? value : join(directory.path, secret)];
    }),
  );
const secretOf = (path: string): string => readFileSync(join(directory.path, path), 'utf8').trim();

/** The Compose Specification's schema, as the linter for compose files brings it. @returns what it objects to */
function objectionsOfTheSpecification(file: unknown): string[] {
  const linter = dirname(createRequire(import.meta.url).resolve('dclint/package.json'));
  const text = readFileSync(join(linter, 'schemas/compose.schema.json'), 'utf8');
  // Ajv knows its dialect, draft 7, by another spelling of the URL, and durations as ISO has them.
  const schema = JSON.parse(text, (key, value: unknown) => (key === '$schema' ? undefined : value)) as object;
  const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
  const validate = ajv.compile(schema);
  return validate(file) ? [] : (validate.errors ?? []).map((error) => ajv.errorsText([error]));
}

describe('docker-compose.temporal.yml', () => {
  it('is a file of the Compose Specification', () => {
    expect(objectionsOfTheSpecification(compose)).toEqual([]);
    const { networks, ...misspelt } = service('api');
    const objections = objectionsOfTheSpecification({
      services: { api: { ...misspelt, network: networks } },
    });
    expect(objections).toEqual(['data/services/api must NOT have additional properties']);
  });

  it.each(processes)('%s starts with what docker/make-secrets.mjs made', (name, role) => {
    expect(() => loadConfig(role, environmentOf(name))).not.toThrow();
  });

  it.each(processes)(
    '%s can be given every setting that it reads, secrets as files, and no other',
    (name, role) => {
      const spread = (variable: string) => (SECRETS.includes(variable) ? `${variable}_FILE` : variable);
      const isHash = (variable: string) => variable.endsWith('_SHA256');
      // Set by the image.
      const settings = Object.keys(shapes[role]).filter((variable) => variable !== 'WORKFLOW_BUNDLE');
      const expected = settings.map((variable) => (isHash(variable) ? variable : spread(variable)));
      const given = Object.keys(service(name).environment ?? {});
      const temporal = Object.keys(service('migrate').environment ?? {}).filter(
        (variable) => variable.startsWith('TEMPORAL_') && variable !== 'TEMPORAL_RETENTION_DAYS',
      );
      expect(new Set(given)).toEqual(new Set([...expected, ...temporal]));
      expect(
        given.filter((variable) => foreignVariables(role).includes(variable.replace(/_FILE$/, ''))),
      ).toEqual([]);
    },
  );

  it.each(processes)(
    '%s takes a setting from docker/compose.env, and its own default without one',
    (name, role) => {
      const passedOn = Object.entries(service(name).environment ?? {}).filter(([, text]) =>
        text.endsWith(':-}'),
      );
      expect(passedOn.length).toBeGreaterThan(3);
      for (const [variable, text] of passedOn) expect(text).toBe(`\${${variable}:-}`);
      expect(loadConfig(role, environmentOf(name, { ...operator, LOG_LEVEL: 'debug' })).logLevel).toBe(
        'debug',
      );
      expect(loadConfig(role, environmentOf(name)).logLevel).toBe('info');
    },
  );

  it.each(processes)('%s can be given a list of namespaces, and works in its first', (name, role) => {
    const list = { ...operator, TEMPORAL_NAMESPACES: 'missions-1,missions-2' };
    const { temporal } = loadConfig(role, environmentOf(name, list));
    expect(temporal.namespace).toBe('missions-1');
    expect(temporal.namespaces?.map((each) => each.name)).toEqual(['missions-1', 'missions-2']);
    expect(loadConfig(role, environmentOf(name)).temporal.namespace).toBe('default');
    const second = { ...list, TEMPORAL_NAMESPACE: 'missions-2' };
    if (role !== 'projection')
      expect(loadConfig(role, environmentOf(name, second)).temporal.namespace).toBe('missions-2');
  });

  it('hands out every variable of Temporal that .env.example names', () => {
    const named = [...read('.env.example').matchAll(/\bTEMPORAL_[A-Z_]*[A-Z]\b/g)].map(
      ([variable]) => variable,
    );
    const given = new Set(services.flatMap(([, { environment = {} }]) => Object.keys(environment)));
    expect(named.filter((variable) => !given.has(variable) && !given.has(`${variable}_FILE`))).toEqual([]);
  });

  it('gives a service the files that its variables name, and no other', () => {
    for (const [name, { environment = {}, secrets = [], command = [] }] of services) {
      const text = [...Object.values(environment), ...command].join('\n');
      const named = [...text.matchAll(/\/run\/secrets\/(\w+)/g)].map(([, secret]) => secret ?? '');
      // Scripts of ours read those of the databases.
      const own = secrets.filter((secret) => !secret.startsWith('DATABASE_PASSWORD_'));
      expect(new Set(named.filter((secret) => !secret.startsWith('DATABASE_PASSWORD_'))), name).toEqual(
        new Set(own),
      );
      expect(secrets.filter((secret) => compose.secrets[secret] === undefined)).toEqual([]);
    }
    const used = new Set(services.flatMap(([, { secrets = [] }]) => secrets));
    expect(used).toEqual(new Set(Object.keys(compose.secrets)));
  });

  it('scripts read secrets that their service has', () => {
    const script = {
      postgresql: ['docker/postgres-trial.sh', 'DATABASE_PASSWORD_SUPERUSER'],
      'temporal-schema': ['docker/temporal-schema.sh'],
    };
    for (const [name, [path = '', ...others]] of Object.entries(script)) {
      const named = [...read(path).matchAll(/\/run\/secrets\/(\w+)/g)].map(([, secret]) => secret);
      expect(new Set([...named, ...others])).toEqual(new Set(service(name).secrets));
    }
  });

  it('docker/make-secrets.mjs makes every file, one for each secret, keeps what is there, and closes its folder', () => {
    const files = Object.values(compose.secrets).map(({ file }) => file);
    const made = files
      .filter((file) => file.startsWith('./'))
      .map((file) => file.replace('./docker/secrets/', ''));
    const before = Object.fromEntries(made.map((name) => [name, secretOf(name)]));
    expect(new Set(readdirSync(directory.path))).toEqual(new Set([...made, 'OPERATOR_TOKEN']));
    expect(new Set(Object.values(before)).size).toBe(made.length);
    // As whoever made it by hand leaves it.
    chmodSync(directory.path, 0o755);
    const printed = makeSecrets();
    expect(statSync(directory.path).mode & 0o777).toBe(0o700);
    for (const secret of Object.values(before)) expect(printed).not.toContain(secret);
    expect(parseEnv(printed)['MANA_SERVICE_KEY_SHA256']).toBe(operator['MANA_SERVICE_KEY_SHA256']);
    expect(Object.fromEntries(made.map((name) => [name, secretOf(name)]))).toEqual(before);
    expect(files.filter((file) => !file.startsWith('./'))).toEqual([
      '${MANA_AUTH_KEKS_SECRET:-/dev/null}',
      '${TEMPORAL_API_KEY_SECRET:-/dev/null}',
    ]);
  });

  it('older KEKs are given when there are some', () => {
    writeFileSync(join(directory.path, 'MANA_AUTH_KEKS'), `old:${secretOf('MANA_AUTH_KEK')}\n`);
    const given = { ...operator, MANA_AUTH_KEKS_SECRET: './docker/secrets/MANA_AUTH_KEKS' };
    expect(loadConfig('vault', environmentOf('worker-vault', given)).vault.keks.byId.size).toBe(1);
    expect(loadConfig('vault', environmentOf('worker-vault')).vault.keks.byId.size).toBe(0);
  });

  it('no secret stands in the file or in a variable', () => {
    // A bare reference would be filled in with nothing; $$ is a dollar for a shell.
    expect(composeText.match(/\$(?!\{\w+:[?+-]|\$)(?<!\$\$)/g)).toBeNull();
    const required = [...composeText.matchAll(/\$\{(\w+):\?/g)].map(([, name]) => name ?? '');
    expect(new Set(required)).toEqual(new Set(Object.keys(parseEnv(read('docker/compose.env.example')))));
    expect(composeText).not.toMatch(/postgres:\/\//);
  });

  it('who holds the KEK shares no network with the gateway, nor has another way out than to mana-auth', () => {
    const holders = services.filter(([, { secrets = [] }]) => secrets.includes('MANA_AUTH_KEK'));
    expect(holders.map(([name]) => name)).toEqual(['api', 'worker-vault']);
    const leadsOut = (name: string): boolean => {
      const network = compose.networks[name] ?? {};
      return (
        network.internal !== true &&
        network.driver_opts?.['com.docker.network.bridge.enable_ip_masquerade'] !== 'false'
      );
    };
    expect(Object.keys(compose.networks).filter(leadsOut)).toEqual(['mana-auth', 'mana-llm']);
    const ways = services.map(([name, { networks }]) => [name, networks.filter(leadsOut)] as const);
    expect(ways.filter(([, out]) => out.length > 0)).toEqual([
      ['api', ['mana-auth']],
      ['worker-runner', ['mana-llm']],
    ]);
    const atGateway = services.filter(([, { networks }]) => networks.includes('mana-llm'));
    expect(atGateway.map(([name]) => name)).toEqual(['worker-runner']);
  });

  it('mana-auth and mana-llm are on networks of the platform', () => {
    for (const name of ['mana-auth', 'mana-llm']) {
      expect(compose.networks[name]?.external).toBe(true);
      expect(fillIn(compose.networks[name]?.name ?? '')).toBe(name);
    }
    const used = new Set(services.flatMap(([, { networks }]) => networks));
    expect(used).toEqual(new Set(Object.keys(compose.networks)));
  });

  it('whoever waits for a service shares a network with it', () => {
    for (const [name, { depends_on = {}, networks }] of services) {
      for (const other of Object.keys(depends_on))
        expect(
          networks.filter((network) => service(other).networks.includes(network)),
          name,
        ).not.toEqual([]);
    }
  });

  it('every service has a bound of memory and of logs, and is started again', () => {
    for (const [name, { mem_limit = '', logging, restart }] of services) {
      expect(mem_limit, name).toMatch(/^\d+[mg]$/);
      expect(logging?.options, name).toEqual({ 'max-size': '20m', 'max-file': '5' });
      expect(restart, name).toMatch(/^(?:unless-stopped|on-failure:5)$/);
    }
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
    const { command, secrets, restart } = service('migrate');
    expect(command?.at(-1)).toBe(`${scripts['db:migrate'] ?? ''} && ${scripts['temporal:setup'] ?? ''}`);
    expect(secrets).toEqual(['MIGRATE_DATABASE_URL', 'MIGRATE_AUTH_DATABASE_URL', 'TEMPORAL_API_KEY']);
    expect(restart).toMatch(/^on-failure/);
  });

  it.each(processes)('%s waits for the migration, is probed and given time to drain', (name, role) => {
    const { depends_on, healthcheck, stop_grace_period, ports, networks } = service(name);
    expect(depends_on).toEqual({ migrate: { condition: 'service_completed_successfully' } });
    expect(healthcheck?.test.every((word) => typeof word === 'string')).toBe(true);
    expect(healthcheck?.test.at(-1)).toContain('/ready');
    expect(Number.parseInt(stop_grace_period ?? '0', 10)).toBeGreaterThanOrEqual(45);
    const { PORT: port } = environmentOf(name);
    // Health and metrics are for the platform's Prometheus.
    expect(ports).toEqual(role === 'api' ? [`127.0.0.1:${port ?? ''}:${port ?? ''}`] : undefined);
    expect(networks).toContain('metrics');
  });

  it('every port is bound to this machine alone, by a service whose network can have ports', () => {
    const published = services.flatMap(([name, { ports = [] }]) =>
      ports.map((port) => [name, port] as const),
    );
    expect(published.map(([name]) => name)).toEqual(['temporal', 'temporal-ui', 'api']);
    expect(published.filter(([, port]) => !port.startsWith('127.0.0.1:'))).toEqual([]);
    for (const [name] of published) expect(service(name).networks).toContain('edge');
  });

  it('the files that it mounts exist', () => {
    const mounted = services
      .flatMap(([, each]) => each.volumes ?? [])
      .filter((volume) => volume.startsWith('./'))
      .map((volume) => volume.split(':')[0] ?? '');
    expect(mounted.length).toBeGreaterThan(0);
    expect(mounted.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });

  it('its Temporal server is the one of the tests, with the same dynamic configuration', () => {
    const version = execFileSync(temporalCliPath(), ['--version'], { encoding: 'utf8' });
    const [, server, ui] = /\(Server ([\d.]+), UI ([\d.]+)\)/.exec(version) ?? [];
    const tagOf = (name: string) => service(name).image?.split(':')[1];
    expect([tagOf('temporal'), tagOf('temporal-schema')]).toEqual([server, server]);
    expect(tagOf('temporal-ui')).toBe(ui);
    const page = read('docs/deployment.md');
    expect(
      [...page.matchAll(/go\.temporal\.io\/server\S*@v([\d.]+)/g)].map(([, named]) => named),
    ).not.toEqual([]);
    for (const [, named] of page.matchAll(/go\.temporal\.io\/server\S*@v([\d.]+)/g))
      expect(named).toBe(server);

    const config = parse(read('docker/temporal-dynamic-config.yaml')) as Record<string, unknown>;
    expect(config).toEqual(
      Object.fromEntries(Object.entries(dynamicConfig).map(([name, value]) => [name, [{ value }]])),
    );
    const { environment, volumes } = service('temporal');
    expect(volumes?.[0]).toContain(`/etc/temporal/${environment?.['DYNAMIC_CONFIG_FILE_PATH'] ?? ''}:ro`);
  });

  it('images have a version', () => {
    const images = services.map(([, { image = '' }]) => image);
    for (const image of images.filter((name) => name !== 'mana-missions')) expect(image).toMatch(/:\d/);
  });

  it('each of the processes has a service', () => {
    const roles = processes.map(([, role]) => role);
    expect(new Set(roles)).toEqual(new Set(PROCESS_ROLES.filter((role) => role !== 'all')));
  });
});
