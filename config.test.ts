import fc from 'fast-check';
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { OLD_VARIABLES } from './config/service-before.ts';
import { SECRETS, shapes } from './config/settings.ts';
import { foreignVariables, PROCESS_ROLES } from './config/zones.ts';
import { ConfigurationError, isProcessRole, loadConfig, type ProcessRole } from './config.ts';
import { leastContextTokens } from './domain/planner/model/window.ts';

type Env = Record<string, string>;

const rsa = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
});
const key = (): string => randomBytes(32).toString('base64');

const common: Env = { TEMPORAL_CODEC_KEYS: `new:${key()},old:${key()}` };
const databaseUrl = 'postgres://somebody:s3cret@127.0.0.1:5432/mana_sync';
const authDatabaseUrl = 'postgres://somebody:s3cret@127.0.0.1:5432/mana_platform';
const gateway: Env = { MANA_LLM_URL: 'http://127.0.0.1:9', MANA_SERVICE_KEY: 'a-service-key' };
const complete: Record<ProcessRole, Env> = {
  api: {
    ...common,
    SYNC_DATABASE_URL: databaseUrl,
    AUTH_DATABASE_URL: authDatabaseUrl,
    MANA_AUTH_URL: 'https://auth.example.org',
    MANA_AUTH_KEK: key(),
    MANA_AI_PUBLIC_KEY_PEM: rsa.publicKey,
  },
  vault: {
    ...common,
    SYNC_DATABASE_URL: databaseUrl,
    AUTH_DATABASE_URL: authDatabaseUrl,
    MANA_AUTH_KEK: key(),
  },
  runner: { ...common, ...gateway, SYNC_DATABASE_URL: databaseUrl, MANA_AI_PRIVATE_KEY_PEM: rsa.privateKey },
  projection: { ...common, SYNC_DATABASE_URL: databaseUrl },
  all: {
    ...common,
    ...gateway,
    ALLOW_ALL_IN_ONE: 'true',
    SYNC_DATABASE_URL: databaseUrl,
    AUTH_DATABASE_URL: authDatabaseUrl,
    MANA_AUTH_KEK: key(),
    MANA_AI_PRIVATE_KEY_PEM: rsa.privateKey,
  },
};
const without = (env: Env, ...names: string[]): Env =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !names.includes(name)));

/** The lines of the error, or none if the configuration is fine. */
function problemsOf(role: ProcessRole, env: Env): readonly string[] {
  try {
    loadConfig(role, env);
    return [];
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems;
    throw error;
  }
}
const namesIn = (problems: readonly string[]): string[] =>
  problems.map((problem) => problem.slice(0, problem.indexOf(':')));

describe('a complete environment', () => {
  it.each(PROCESS_ROLES)('is accepted for %s', (role) => {
    expect(problemsOf(role, complete[role])).toEqual([]);
  });

  it('gives the API its defaults', () => {
    const { api, host, logLevel } = loadConfig('api', complete.api);
    expect({ host, logLevel, port: api.port }).toEqual({ host: '127.0.0.1', logLevel: 'info', port: 3566 });
    expect(api.identity).toEqual({
      jwksUrl: 'https://auth.example.org/api/v1/auth/jwks',
      issuer: 'https://auth.example.org',
      audience: 'mana',
    });
    expect(api.grantMintVersion).toBe('v2');
    expect(api.corsOrigins).toEqual([]);
  });

  it('bounds the connections of a process to four, over all its databases', () => {
    const { api } = loadConfig('api', complete.api);
    expect(api.syncDatabase.maxConnections + api.authDatabase.maxConnections).toBe(4);
    expect(loadConfig('runner', complete.runner).runner.syncDatabase.maxConnections).toBe(4);
    const wide = loadConfig('vault', { ...complete.vault, DATABASE_MAX_CONNECTIONS: '7' }).vault;
    expect([wide.syncDatabase.maxConnections, wide.authDatabase.maxConnections]).toEqual([4, 3]);
  });

  it('has statements prepared by name, unless it says otherwise, in every database of every process', () => {
    const settingOf = (env: Env): unknown[] => {
      const { api } = loadConfig('api', { ...complete.api, ...env });
      const { vault, runner, projection } = loadConfig('all', { ...complete.all, ...env });
      return [
        ...[api.syncDatabase, api.authDatabase, vault.syncDatabase, vault.authDatabase],
        ...[runner.syncDatabase, projection.syncDatabase],
      ].map(({ preparedStatements }) => preparedStatements);
    };
    expect(new Set(settingOf({}))).toEqual(new Set([true]));
    expect(new Set(settingOf({ DATABASE_PREPARED_STATEMENTS: 'false' }))).toEqual(new Set([false]));
    expect(namesIn(problemsOf('runner', { ...complete.runner, DATABASE_PREPARED_STATEMENTS: 'no' }))).toEqual(
      ['DATABASE_PREPARED_STATEMENTS'],
    );
  });

  it('has a window that a mission can be planned in; below it the least that works is named', () => {
    const least = leastContextTokens();
    const at = (tokens: number): Env => ({ ...complete.runner, MANA_LLM_CONTEXT_TOKENS: String(tokens) });
    expect(loadConfig('runner', at(least)).runner.planner.contextTokens).toBe(least);
    expect(loadConfig('runner', at(8_000)).runner.planner.contextTokens).toBe(8_000);
    expect(problemsOf('runner', at(least - 1))).toEqual([
      expect.stringMatching(new RegExp(`^MANA_LLM_CONTEXT_TOKENS: .*from ${least} to`)),
    ]);
  });

  it('bounds what a reply may have and how long a call may take', () => {
    const { planner, gateway } = loadConfig('runner', complete.runner).runner;
    expect([planner.maxReplyTokens, gateway.timeoutMs]).toEqual([8_192, 300_000]);
    const odd = { ...complete.runner, MANA_LLM_MAX_TOKENS: '0', MANA_LLM_TIMEOUT_SECONDS: '601' };
    expect(new Set(namesIn(problemsOf('runner', odd)))).toEqual(
      new Set(['MANA_LLM_MAX_TOKENS', 'MANA_LLM_TIMEOUT_SECONDS']),
    );
    const slow = { ...complete.runner, MANA_LLM_TIMEOUT_SECONDS: '570' };
    // An attempt of a round has ten minutes: what answers in time is not asked twice.
    expect(loadConfig('runner', slow).runner.gateway.timeoutMs).toBeLessThan(600_000);
  });

  it('gives every process ports of its own, that no neighbour on the same machine has', () => {
    const healthPorts = (['vault', 'runner', 'projection'] as const).map(
      (role) => loadConfig(role, complete[role]).healthPort,
    );
    const { api } = loadConfig('api', complete.api);
    const ports = new Set([api.port, api.healthPort, ...healthPorts]);
    expect(ports.size).toBe(5);
    expect([3001, 3025, 3042, 3060, 3066, 3067, 3068, 3069].filter((port) => ports.has(port))).toEqual([]);
    expect(loadConfig('runner', { ...complete.runner, HEALTH_PORT: '0' }).healthPort).toBe(0);
  });

  it('takes a build id of workers that can be typed into a command, and none by default', () => {
    expect(loadConfig('vault', complete.vault).buildId).toBeNull();
    const withId = (BUILD_ID: string) => ({ ...complete.vault, BUILD_ID });
    expect(loadConfig('vault', withId('v1.2.3+dd18f87')).buildId).toBe('v1.2.3+dd18f87');
    for (const odd of ['two words', '-x', 'a:b', 'x'.repeat(101)])
      expect(namesIn(problemsOf('vault', withId(odd)))).toEqual(['BUILD_ID']);
  });

  it('is decoded: keys are bytes and key objects', () => {
    const { codecKeys, runner } = loadConfig('runner', complete.runner);
    expect(codecKeys.primaryKeyId).toBe('new');
    expect([...codecKeys.keys].map(([id, bytes]) => [id, bytes.length])).toEqual([['new', 32], ['old', 32]]); // prettier-ignore
    expect(runner.grantPrivateKeys.map((privateKey) => privateKey.type)).toEqual(['private']);
    const { api } = loadConfig('api', complete.api);
    expect(api.grantPublicKey?.type).toBe('public');
    expect(api.keks.default?.toString('base64')).toBe(complete.api['MANA_AUTH_KEK']);
  });

  it('is deeply frozen', () => {
    const config = loadConfig('api', complete.api);
    expect(() => Object.assign(config.api.identity, { audience: 'other' })).toThrow(TypeError);
    expect(() => (config.codecKeys.keys as Map<string, Buffer>).set('x', Buffer.alloc(32))).toThrow(
      TypeError,
    );
    expect(() => config.api.serviceKeySha256.push(Buffer.alloc(32))).toThrow(TypeError);
  });

  it('ignores variables that it does not know and takes an empty one as not set', () => {
    expect(
      problemsOf('projection', { ...complete.projection, PATH: '/bin', LOG_LEVEL: '', MANA_AUTH_KEK: '' }),
    ).toEqual([]);
  });

  it('reads the standard variables of Temporal', () => {
    const { temporal } = loadConfig('projection', {
      ...complete.projection,
      TEMPORAL_ADDRESS: 'temporal:7233',
      TEMPORAL_NAMESPACE: 'missions',
    });
    expect(temporal).toMatchObject({ address: 'temporal:7233', namespace: 'missions' });
  });

  it('a runner may be of any namespace of the list, the projection of the first alone', () => {
    const several = { TEMPORAL_NAMESPACES: 'a,b', TEMPORAL_NAMESPACE: 'b' };
    expect(problemsOf('runner', { ...complete.runner, ...several })).toEqual([]);
    for (const role of ['projection', 'all'] as const) {
      expect(problemsOf(role, { ...complete[role], ...several })).toEqual([
        'TEMPORAL_NAMESPACE: the projection works in the first of TEMPORAL_NAMESPACES',
      ]);
      expect(problemsOf(role, { ...complete[role], TEMPORAL_NAMESPACES: 'a,b' })).toEqual([]);
    }
    expect(namesIn(problemsOf('api', { ...complete.api, TEMPORAL_NAMESPACES: 'a,a' }))).toEqual([
      'TEMPORAL_NAMESPACES',
    ]);
  });
});

describe('formats', () => {
  it('a PEM value may hold \\n for line ends', () => {
    const pem = rsa.publicKey.replaceAll('\n', '\\n');
    expect(
      loadConfig('api', { ...complete.api, MANA_AI_PUBLIC_KEY_PEM: pem }).api.grantPublicKey,
    ).not.toBeNull();
  });

  it('the private key may be several PEM blocks, for rotation', () => {
    const env = { ...complete.runner, MANA_AI_PRIVATE_KEY_PEM: `${rsa.privateKey}${rsa.privateKey}` };
    expect(loadConfig('runner', env).runner.grantPrivateKeys).toHaveLength(2);
  });

  it('KEKs may be given by id, with or without a default one', () => {
    const [first, second] = [key(), key()];
    const env = {
      ...without(complete.vault, 'MANA_AUTH_KEK'),
      MANA_AUTH_KEKS: `env-v1:${first},env-v2:${second}`,
    };
    const { keks } = loadConfig('vault', env).vault;
    expect(keks.default).toBeNull();
    expect(keks.byId.get('env-v2')?.toString('base64')).toBe(second);
  });

  it('one or two hashes of service keys are accepted', () => {
    const hash = (text: string): string => createHash('sha256').update(text).digest('hex');
    const load = (text: string) => loadConfig('api', { ...complete.api, MANA_SERVICE_KEY_SHA256: text });
    expect(load(hash('a')).api.serviceKeySha256).toHaveLength(1);
    expect(load(`${hash('a')}, ${hash('b')}`).api.serviceKeySha256).toHaveLength(2);
    expect(() => load([hash('a'), hash('b'), hash('c')].join(','))).toThrow(ConfigurationError);
  });

  it('the codec endpoint is there with a token; without an origin it is for the CLI alone', () => {
    const sha256 = createHash('sha256').update('a').digest('hex');
    const load = (env: Env) => loadConfig('api', { ...complete.api, ...env }).api.codecEndpoint;
    expect(load({ CODEC_CORS_ORIGIN: 'https://temporal.example.org' })).toBeNull();
    expect(load({ OPERATOR_TOKEN_SHA256: sha256 })).toMatchObject({ corsOrigin: null });
    expect(
      load({
        OPERATOR_TOKEN_SHA256: `${sha256},${sha256}`,
        CODEC_CORS_ORIGIN: 'https://temporal.example.org',
      }),
    ).toEqual({
      operatorTokenSha256: [Buffer.from(sha256, 'hex'), Buffer.from(sha256, 'hex')],
      corsOrigin: 'https://temporal.example.org',
    });
  });

  const pemOf = (bits: number): string =>
    generateKeyPairSync('rsa', { modulusLength: bits })
      .publicKey.export({ type: 'spki', format: 'pem' })
      .toString();
  const ed25519 = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const bad: [ProcessRole, string, string, string][] = [
    ['api', 'MANA_AI_PUBLIC_KEY_PEM', 'a private key in place of the public one', rsa.privateKey],
    ['api', 'MANA_AI_PUBLIC_KEY_PEM', 'a private key behind the public one', rsa.publicKey + rsa.privateKey],
    ['api', 'MANA_AI_PUBLIC_KEY_PEM', 'two public keys', rsa.publicKey + rsa.publicKey],
    ['api', 'MANA_AI_PUBLIC_KEY_PEM', 'an RSA key of another size', pemOf(3072)],
    ['api', 'MANA_AI_PUBLIC_KEY_PEM', 'a key that is not RSA', ed25519],
    ['runner', 'MANA_AI_PRIVATE_KEY_PEM', 'a public key in place of the private one', rsa.publicKey],
    ['runner', 'MANA_AI_PRIVATE_KEY_PEM', 'a cut PEM', rsa.privateKey.slice(0, 200)],
    ['api', 'MANA_AUTH_KEK', 'a key of 31 bytes', randomBytes(31).toString('base64')],
    ['api', 'MANA_AUTH_KEK', 'hex in place of base64', randomBytes(32).toString('hex')],
    ['api', 'MANA_AUTH_KEKS', 'a key without id', key()],
    ['api', 'TEMPORAL_CODEC_KEYS', 'the same id twice', `a:${key()},a:${key()}`],
    ['api', 'TEMPORAL_CODEC_KEYS', 'a trailing comma', `a:${key()},`],
    ['api', 'SYNC_DATABASE_URL', 'another protocol', 'mysql://u:p@h/d'],
    ['api', 'MANA_AUTH_URL', 'no URL', 'auth.example.org'],
    ['api', 'CORS_ORIGINS', 'a wildcard', '*'],
    ['api', 'CORS_ORIGINS', 'an origin with a path', 'https://app.example.org/'],
    ['api', 'CODEC_CORS_ORIGIN', 'two origins', 'https://a.example.org,https://b.example.org'],
    ['api', 'CODEC_CORS_ORIGIN', 'a wildcard', '*'],
    ['api', 'CODEC_CORS_ORIGIN', 'the origin of nothing', 'null'],
    ['api', 'OPERATOR_TOKEN_SHA256', 'a token in place of its hash', 'operator-token'],
    ['api', 'TRUST_PROXY', 'no address', 'proxy.example.org'],
    ['api', 'PORT', 'a port out of range', '65536'],
    ['api', 'GRANT_MINT_VERSION', 'an unknown version', 'v3'],
    ['vault', 'GRANT_ACCEPT_V1', 'no boolean', 'yes'],
    ['vault', 'DATABASE_MAX_CONNECTIONS', 'less than one for each database', '1'],
    ['runner', 'MANA_SERVICE_KEY', 'a line end', 'key\nx: y'],
    ['runner', 'LOG_LEVEL', 'an unknown level', 'loud'],
  ];
  it.each(bad)('%s refuses %s with %s', (role, name, _what, value) => {
    expect(namesIn(problemsOf(role, { ...complete[role], [name]: value }))).toEqual([name]);
  });

  it.each([
    ['api', 'MANA_AUTH_KEK', Buffer.alloc(32).toString('base64')],
    ['api', 'TEMPORAL_CODEC_KEYS', `k:${Buffer.alloc(32).toString('base64')}`],
    ['api', 'MANA_SERVICE_KEY_SHA256', createHash('sha256').update('change-me').digest('hex')],
    ['runner', 'MANA_SERVICE_KEY', 'change-me'],
    ['runner', 'SYNC_DATABASE_URL', 'postgres://somebody:change-me@localhost/mana_sync'],
  ] as const)('%s refuses the example value of %s', (role, name, value) => {
    expect(problemsOf(role, { ...complete[role], [name]: value })).toEqual([
      `${name}: holds an example value; make one of your own`,
    ]);
  });
});

describe('problems', () => {
  it.each(PROCESS_ROLES)('all required variables of %s are reported at once', (role) => {
    const optional = ['MANA_AUTH_KEK', 'MANA_AI_PUBLIC_KEY_PEM', 'MANA_AI_PRIVATE_KEY_PEM'];
    const required = Object.keys(complete[role]).filter((name) => !optional.includes(name));
    expect(new Set(namesIn(problemsOf(role, {})))).toEqual(new Set(required));
  });

  it('without a key for grants a process starts: grants are off', () => {
    expect(loadConfig('api', without(complete.api, 'MANA_AI_PUBLIC_KEY_PEM')).api.grantPublicKey).toBeNull();
    expect(loadConfig('api', without(complete.api, 'MANA_AUTH_KEK')).api.keks.default).toBeNull();
    expect(
      loadConfig('runner', without(complete.runner, 'MANA_AI_PRIVATE_KEY_PEM')).runner.grantPrivateKeys,
    ).toEqual([]);
  });

  it('a bad format, a missing variable and a foreign secret stand in one message', () => {
    const env = {
      ...without(complete.api, 'MANA_AUTH_URL'),
      PORT: 'http',
      MANA_SERVICE_KEY: 'a-service-key',
    };
    expect(new Set(namesIn(problemsOf('api', env)))).toEqual(
      new Set(['MANA_AUTH_URL', 'PORT', 'MANA_SERVICE_KEY']),
    );
  });

  it('no value of a variable appears in the message, whatever it is', () => {
    const names = PROCESS_ROLES.flatMap((role) => [
      ...Object.keys(shapes[role]),
      'SYNC_DATABASE_URL',
      'TEMPORAL_NAMESPACES',
      'TEMPORAL_TLS',
    ]);
    const value = fc
      .string({ minLength: 8, maxLength: 40, unit: 'grapheme-ascii' })
      .map((text) => `§${text}§`);
    fc.assert(
      fc.property(
        fc.constantFrom(...PROCESS_ROLES),
        fc.dictionary(fc.constantFrom(...names), value, { minKeys: 1, noNullPrototype: true }),
        (role, env) => {
          const message = problemsOf(role, env).join('\n');
          for (const text of Object.values(env)) {
            expect(message).not.toContain(text);
            expect(message).not.toContain(text.slice(0, 6));
          }
          expect(message).not.toContain('§');
        },
      ),
      { numRuns: 500 },
    );
  });

  it('the message begins with the process and has one line for each problem', () => {
    const error = new ConfigurationError('api', ['A: one', 'B: two']);
    expect(error.message).toBe('the configuration of process "api" cannot be used:\n  A: one\n  B: two');
  });
});

describe('trust zones', () => {
  it.each(['api', 'vault', 'runner', 'projection'] as const)(
    '%s refuses each secret of another zone',
    (role) => {
      for (const name of foreignVariables(role)) {
        const expected = [`${name}: belongs to another trust zone; this process must not be given it`];
        expect(problemsOf(role, { ...complete[role], [name]: complete.all[name] ?? databaseUrl })).toEqual(
          expected,
        );
      }
    },
  );

  it('no process takes the KEK and the private key, or the KEK and a route to the LLM', () => {
    for (const role of ['api', 'vault', 'runner', 'projection'] as const) {
      const foreign = foreignVariables(role);
      const holdsKek = !foreign.includes('MANA_AUTH_KEK') || !foreign.includes('MANA_AUTH_KEKS');
      // The URL alone is no route: the gateway refuses whoever comes without the service key.
      const holdsOther = ['MANA_AI_PRIVATE_KEY_PEM', 'MANA_SERVICE_KEY'].some(
        (name) => !foreign.includes(name),
      );
      expect(holdsKek && holdsOther).toBe(false);
    }
  });

  it('what opens nothing by itself is ignored where it is not needed', () => {
    const [AUTH_DATABASE_URL, MANA_LLM_URL] = [authDatabaseUrl, 'http://127.0.0.1:9'];
    expect(problemsOf('runner', { ...complete.runner, AUTH_DATABASE_URL })).toEqual([]);
    expect(problemsOf('api', { ...complete.api, MANA_LLM_URL })).toEqual([]);
  });

  it('a secret of another zone is refused as a file too, without reading it', () => {
    expect(namesIn(problemsOf('runner', { ...complete.runner, MANA_AUTH_KEK_FILE: '/nowhere' }))).toEqual([
      'MANA_AUTH_KEK_FILE',
    ]);
  });

  it('all zones in one process must be allowed on purpose', () => {
    expect(namesIn(problemsOf('all', without(complete.all, 'ALLOW_ALL_IN_ONE')))).toEqual([
      'ALLOW_ALL_IN_ONE',
    ]);
    expect(namesIn(problemsOf('all', { ...complete.all, ALLOW_ALL_IN_ONE: 'false' }))).toEqual([
      'ALLOW_ALL_IN_ONE',
    ]);
  });

  it('allowing all in one opens nothing for the other processes', () => {
    const env = { ...complete.api, ALLOW_ALL_IN_ONE: 'true', MANA_AI_PRIVATE_KEY_PEM: rsa.privateKey };
    expect(namesIn(problemsOf('api', env))).toEqual(['MANA_AI_PRIVATE_KEY_PEM']);
  });

  it("in the all-in-one process a part's own database URL wins over the plain one", () => {
    const own = 'postgres://runner:s3cret@127.0.0.1/mana_sync';
    const config = loadConfig('all', { ...complete.all, SYNC_DATABASE_URL_RUNNER: own });
    expect(config.runner.syncDatabase.url).toBe(own);
    expect(config.vault.syncDatabase.url).toBe(databaseUrl);
    expect(config.projection.syncDatabase.url).toBe(databaseUrl);
  });
});

describe('secrets in files', () => {
  let directory = '';
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'mana-config-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));
  const file = (text: string): string => {
    const path = join(directory, 'secret');
    writeFileSync(path, text);
    return path;
  };

  it.each(SECRETS.filter((name) => name in complete.api))('%s may come from a file', (name) => {
    const env = { ...without(complete.api, name), [`${name}_FILE`]: file(`${complete.api[name] ?? ''}\n`) };
    expect(problemsOf('api', env)).toEqual([]);
  });

  it.each([
    ['that does not exist', () => join(directory, 'none')],
    ['that is empty', () => file(' \n')],
  ])('a file %s is reported by the name of its variable, without the path', (what, path) => {
    const env = { ...without(complete.api, 'MANA_AUTH_KEK'), MANA_AUTH_KEK_FILE: path() };
    expect(problemsOf('api', env)).toEqual([`MANA_AUTH_KEK_FILE: names a file ${what}`]);
  });

  it('a folder is told from a file', () => {
    const env = { ...without(complete.api, 'MANA_AUTH_KEK'), MANA_AUTH_KEK_FILE: directory };
    expect(problemsOf('api', env)).toEqual(['MANA_AUTH_KEK_FILE: names a folder, not a file']);
  });

  it('a bad value in a file is reported by the name of its variable, without the value', () => {
    const env = {
      ...without(complete.api, 'SYNC_DATABASE_URL'),
      SYNC_DATABASE_URL_FILE: file('mysql://u:p@h/d'),
    };
    expect(problemsOf('api', env)).toEqual([
      'SYNC_DATABASE_URL_FILE: cannot be used; expected a postgres:// URL with user and database',
    ]);
  });

  it('value and file at once are refused', () => {
    const env = { ...complete.api, MANA_AUTH_KEK_FILE: file(key()) };
    expect(namesIn(problemsOf('api', env))).toEqual(['MANA_AUTH_KEK']);
  });
});

describe('a variable of the service before', () => {
  const withOld = <Role extends ProcessRole>(role: Role, env: Env) =>
    loadConfig(role, { ...complete[role], ...env });

  it('is named once at the start of every process, without its value', () => {
    const old: Env = { DATABASE_URL: databaseUrl, TICK_ENABLED: 'true', TICK_INTERVAL_MS: '60000' };
    for (const role of PROCESS_ROLES) {
      const { notices } = withOld(role, old);
      expect(notices.map((notice) => notice.split(' ')[0])).toEqual(Object.keys(old));
      expect(notices.join('\n')).not.toMatch(/s3cret|60000/);
      expect(loadConfig(role, complete[role]).notices).toEqual([]);
    }
  });

  it('that is called otherwise now is read under its old name', () => {
    const { runner, notices } = withOld('runner', {
      ...{ MANA_AI_DEEP_RESEARCH_ENABLED: 'true', MANA_RESEARCH_URL: 'http://127.0.0.1:3068' },
      MANA_AI_COMPACT_MAX_CTX: '64000',
    });
    expect(runner.research.deep?.url).toBe('http://127.0.0.1:3068');
    expect(runner.planner.contextTokens).toBe(64_000);
    expect(notices).toHaveLength(2);
    const odd = { ...complete.runner, MANA_AI_COMPACT_MAX_CTX: '0' };
    expect(problemsOf('runner', odd)).toEqual([
      expect.stringMatching(/^MANA_AI_COMPACT_MAX_CTX: .*a whole number/),
    ]);
  });

  it('whose values mean something else is read as what comes next to it, and says so', () => {
    for (const value of ['log-only', 'off']) {
      const { runner, notices } = withOld('runner', { POLICY_MODE: value });
      expect(runner.planner.policyMode).toBe('flag');
      expect(notices).toEqual([expect.stringMatching(/^POLICY_MODE .*read as flag/)]);
    }
    const same = withOld('runner', { POLICY_MODE: 'enforce' });
    expect([same.runner.planner.policyMode, same.notices]).toEqual(['enforce', []]);
    expect(namesIn(problemsOf('runner', { ...complete.runner, POLICY_MODE: 'constructor' }))).toEqual([
      'POLICY_MODE',
    ]);
  });

  it('that contradicts what replaces it is refused', () => {
    const both: Env = { MANA_AI_DEEP_RESEARCH_ENABLED: 'true', DEEP_RESEARCH_ENABLED: 'false' };
    expect(namesIn(problemsOf('runner', { ...complete.runner, ...both }))).toEqual([
      'MANA_AI_DEEP_RESEARCH_ENABLED',
    ]);
    expect(problemsOf('runner', { ...complete.runner, ...both, DEEP_RESEARCH_ENABLED: 'true' })).toEqual([]);
  });

  it('that says that no missions run is refused by what runs them', () => {
    for (const value of ['false', '0']) {
      const refusing = PROCESS_ROLES.filter(
        (role) => problemsOf(role, { ...complete[role], TICK_ENABLED: value }).length > 0,
      );
      expect(refusing).toEqual(['runner', 'projection', 'all']);
    }
    expect(withOld('api', { TICK_ENABLED: 'false' }).notices).toHaveLength(1);
  });

  it('stands in the table of docs/upgrade-from-before.md', () => {
    const page = readFileSync(new URL('docs/upgrade-from-before.md', import.meta.url), 'utf8');
    const inTable = [...page.matchAll(/^\| `([A-Z_]+)(?:=[^`]*)?`[^|]*\| (?:not read|read as)/gm)].map(
      ([, name]) => name,
    );
    expect(new Set(inTable)).toEqual(new Set(OLD_VARIABLES.map(({ name }) => name)));
  });
});

describe('.env.example', () => {
  const example = Object.fromEntries(
    readFileSync(new URL('.env.example', import.meta.url), 'utf8')
      .split('\n')
      .map((line) => /^(?:# )?([A-Z][A-Z0-9_]*)=(.*)$/.exec(line))
      .filter((match) => match !== null)
      .map((match): [string, string] => [match[1] ?? '', match[2] ?? '']),
  );
  const ownMigration = ['MIGRATE_DATABASE_URL', 'MIGRATE_AUTH_DATABASE_URL'];
  const ofMaintenance = [
    'MAINTENANCE_DATABASE_URL',
    'AUDIT_CHECKPOINT_PRIVATE_KEY_PEM',
    'AUDIT_CHECKPOINT_PUBLIC_KEY_PEM',
  ];
  const real: Env = {
    ...complete.all,
    ...complete.api,
    MANA_AUTH_KEKS: `env-v1:${key()}`,
    MANA_SERVICE_KEY_SHA256: createHash('sha256').update(key()).digest('hex'),
    ...Object.fromEntries(
      SECRETS.filter((name) => name.startsWith('SYNC_')).map((name) => [name, databaseUrl]),
    ),
  };
  const EXAMPLE_PROBLEM = 'holds an example value; make one of your own';

  it('names every variable, and none that nothing reads', () => {
    const known = new Set(PROCESS_ROLES.flatMap((role) => Object.keys(shapes[role])));
    const own = Object.keys(example).filter((name) => !name.startsWith('TEMPORAL_') || known.has(name));
    expect(new Set(own)).toEqual(new Set([...known, ...ownMigration, ...ofMaintenance]));
  });

  it.each(PROCESS_ROLES)('is accepted by %s as soon as its secrets are replaced', (role) => {
    const mine = Object.fromEntries(Object.entries(example).filter(([name]) => name in shapes[role]));
    const problems = problemsOf(role, mine);
    expect(problems.filter((problem) => !problem.endsWith(EXAMPLE_PROBLEM))).toEqual([]);
    expect(namesIn(problems)).toContain('TEMPORAL_CODEC_KEYS');
    const replaced = Object.fromEntries(namesIn(problems).map((name) => [name, real[name] ?? '']));
    expect(problemsOf(role, { ...mine, ...replaced })).toEqual([]);
  });

  it('holds no secret that could be used', () => {
    for (const name of SECRETS.filter((secret) => secret in example)) {
      const role = PROCESS_ROLES.find((candidate) => name in shapes[candidate]) ?? 'api';
      const env = { ...complete[role], [name]: example[name] ?? '' };
      expect(problemsOf(role, env)).toEqual([`${name}: ${EXAMPLE_PROBLEM}`]);
    }
  });
});

it('a process role is one of five', () => {
  expect(PROCESS_ROLES.every(isProcessRole)).toBe(true);
  expect([undefined, '', 'API', 'constructor'].some(isProcessRole)).toBe(false);
});
