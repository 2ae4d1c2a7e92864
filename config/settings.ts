import { z } from 'zod';
import { GRANT_VERSIONS } from '#domain/wire/grant.ts';
import { POLICY_MODES } from '#domain/planner/plan/planner-settings.ts';
import { MAX_PLANNER_ROUNDS } from '#domain/run/run.ts';
import { leastContextTokens } from '#domain/planner/model/window.ts';
import {
  base64Key,
  boolean,
  buildId,
  databaseUrl,
  httpUrl,
  integer,
  keysById,
  nonEmpty,
  oneOf,
  origin,
  origins,
  privateKeys,
  proxies,
  publicKey,
  serviceKey,
  sha256Hashes,
  switchedOn,
} from './variables.ts';

const port = integer(0, 65_535);
const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

/** Variables of every process. */
const common = {
  LOG_LEVEL: oneOf(LOG_LEVELS).default('info'),
  // The image sets 0.0.0.0; outside a container nothing should be reachable that was not meant to be.
  HOST: nonEmpty('an address to listen on').default('127.0.0.1'),
  // Of a process; api and vault worker halve it between their two databases.
  DATABASE_MAX_CONNECTIONS: integer(2, 100).default(4),
  // False behind a pooler that does not keep them: see docs/operations.md.
  DATABASE_PREPARED_STATEMENTS: boolean.default(true),
  TEMPORAL_CODEC_KEYS: keysById,
  // Where traces are sent, by OTLP over HTTP; not set: there are none.
  OTEL_EXPORTER_OTLP_ENDPOINT: httpUrl.optional(),
};
const vaultZone = {
  AUTH_DATABASE_URL: databaseUrl,
  MANA_AUTH_KEK: base64Key.optional(),
  MANA_AUTH_KEKS: keysById.optional(),
};
const api = {
  ...vaultZone,
  SYNC_DATABASE_URL_API: databaseUrl,
  // 0 takes any free port.
  PORT: port.default(3566),
  CORS_ORIGINS: origins.default([]),
  TRUST_PROXY: proxies.default([]),
  MANA_AUTH_URL: httpUrl,
  JWT_ISSUER: nonEmpty('the issuer of user tokens').optional(),
  JWT_AUDIENCE: nonEmpty('the audience of user tokens').default('mana'),
  MANA_AI_PUBLIC_KEY_PEM: publicKey.optional(),
  GRANT_MINT_VERSION: oneOf(GRANT_VERSIONS).default('v2'),
  MANA_SERVICE_KEY_SHA256: sha256Hashes.default([]),
  OPERATOR_TOKEN_SHA256: sha256Hashes.optional(),
  CODEC_CORS_ORIGIN: origin.optional(),
  // A page for developers of clients; nothing that it shows is secret.
  OPENAPI_PAGE: boolean.default(false),
};
const vault = {
  ...vaultZone,
  SYNC_DATABASE_URL_VAULT: databaseUrl,
  GRANT_ACCEPT_V1: boolean.default(true),
};
const runner = {
  SYNC_DATABASE_URL_RUNNER: databaseUrl,
  MANA_AI_PRIVATE_KEY_PEM: privateKeys.default([]),
  MANA_LLM_URL: httpUrl,
  MANA_SERVICE_KEY: serviceKey,
  MANA_LLM_MODEL: nonEmpty('a model alias or provider/model').default('mana/reasoning'),
  // Summarises long conversations; a cheaper one will do.
  MANA_LLM_COMPACT_MODEL: nonEmpty('a model alias or provider/model').default('mana/fast-text'),
  // The window of MANA_LLM_MODEL, for request and reply together; below the least no mission could be planned.
  MANA_LLM_CONTEXT_TOKENS: integer(leastContextTokens(), 10_000_000).default(128_000),
  // Of a reply (max_tokens), the thoughts of a reasoning model included; a quarter of the window at most.
  MANA_LLM_MAX_TOKENS: integer(256, 1_000_000).default(8_192),
  // Of one call. An attempt of a round may take ten minutes.
  MANA_LLM_TIMEOUT_SECONDS: integer(5, 570).default(300),
  MAX_PLANNER_ROUNDS: integer(1, 20).default(MAX_PLANNER_ROUNDS),
  // Calls of this runner at a time; what the gateway says makes them fewer (llm/gateway-limit.ts).
  MANA_LLM_MAX_IN_FLIGHT: integer(1, 10_000).default(100),
  // How long rounds, sealing and research may be silent until the server gives them to another worker, which asks the model again. The
  // SDK tells the server every ten seconds.
  ACTIVITY_HEARTBEAT_TIMEOUT_SECONDS: integer(10, 300).default(30),
  // Of all runners together, kept by the server. Off unless set: the gateway is asked as much as it bears.
  PLANNER_ROUNDS_PER_SECOND: integer(1, 10_000).optional(),
  POLICY_MODE: oneOf(POLICY_MODES).default('flag'),
  // Of a user's missions without an agent, together: a small mission every hour fits, a loop does not.
  DEFAULT_TOKENS_PER_DAY: integer(0, 1_000_000_000).default(500_000),
  // Not set: no shallow research.
  MANA_API_URL: httpUrl.optional(),
  MANA_RESEARCH_URL: httpUrl.optional(),
  // A deep task costs its user credits.
  DEEP_RESEARCH_ENABLED: boolean.default(false),
};
const projection = { SYNC_DATABASE_URL_PROJECTION: databaseUrl };
/** Of the workers that run workflows. */
const workflows = { WORKFLOW_BUNDLE: nonEmpty('the file that "bin/yarn build:workflows" wrote').optional() };
// One port for each process, so that all of them fit on one machine, beside the platform's other services (docs/platform.md section 13). 0
// takes any free port.
const HEALTH_PORTS = { api: 3565, all: 3567, runner: 3567, vault: 3568, projection: 3569 } as const;

type Values<Shape extends z.ZodRawShape> = z.output<z.ZodObject<Shape>>;

function codecKeysOf(keys: ReadonlyMap<string, Buffer>): {
  primaryKeyId: string;
  keys: ReadonlyMap<string, Buffer>;
} {
  const [primaryKeyId = ''] = keys.keys();
  return { primaryKeyId, keys };
}
const processSettings = (env: Values<typeof common>) => ({
  logLevel: env.LOG_LEVEL,
  host: env.HOST,
  codecKeys: codecKeysOf(env.TEMPORAL_CODEC_KEYS),
  /** Null: no traces. */
  tracesEndpoint: env.OTEL_EXPORTER_OTLP_ENDPOINT ?? null,
});
const workerSettings = (
  env: Values<typeof common & ReturnType<typeof worker>> & { WORKFLOW_BUNDLE?: string | undefined },
) => ({
  ...processSettings(env),
  healthPort: env.HEALTH_PORT,
  acceptPlaintextPayloads: env.TEMPORAL_CODEC_ACCEPT_PLAINTEXT,
  buildId: env.BUILD_ID ?? null,
  /** Null: bundled at start. */
  workflowBundlePath: env.WORKFLOW_BUNDLE ?? null,
});
const half = (count: number): number => Math.floor(count / 2);
const databaseOf = (env: Values<typeof common>, url: string, maxConnections: number) => ({
  url,
  maxConnections,
  preparedStatements: env.DATABASE_PREPARED_STATEMENTS,
});
/** A half of the connections each: to the change log as `syncUrl` names it, and to the vaults. */
const vaultZoneSettings = (env: Values<typeof common & typeof vaultZone>, syncUrl: string) => ({
  syncDatabase: databaseOf(env, syncUrl, env.DATABASE_MAX_CONNECTIONS - half(env.DATABASE_MAX_CONNECTIONS)),
  authDatabase: databaseOf(env, env.AUTH_DATABASE_URL, half(env.DATABASE_MAX_CONNECTIONS)),
  keks: { default: env.MANA_AUTH_KEK ?? null, byId: env.MANA_AUTH_KEKS ?? new Map<string, Buffer>() },
});

const apiSettings = (env: Values<typeof common & typeof api> & { HEALTH_PORT: number }) => ({
  ...vaultZoneSettings(env, env.SYNC_DATABASE_URL_API),
  port: env.PORT,
  healthPort: env.HEALTH_PORT,
  corsOrigins: env.CORS_ORIGINS,
  trustedProxies: env.TRUST_PROXY,
  identity: {
    jwksUrl: `${env.MANA_AUTH_URL.replace(/(?<!\/)\/+$/, '')}/api/v1/auth/jwks`,
    issuer: env.JWT_ISSUER ?? env.MANA_AUTH_URL,
    audience: env.JWT_AUDIENCE,
  },
  /** Null: grants are off. */
  grantPublicKey: env.MANA_AI_PUBLIC_KEY_PEM ?? null,
  grantMintVersion: env.GRANT_MINT_VERSION,
  serviceKeySha256: env.MANA_SERVICE_KEY_SHA256,
  openApiPage: env.OPENAPI_PAGE,
  /** Null: there is no codec endpoint. */
  codecEndpoint:
    env.OPERATOR_TOKEN_SHA256 === undefined
      ? null
      : {
          operatorTokenSha256: env.OPERATOR_TOKEN_SHA256,
          corsOrigin: env.CODEC_CORS_ORIGIN ?? null,
        },
});
const vaultSettings = (env: Values<typeof common & typeof vault>) => ({
  ...vaultZoneSettings(env, env.SYNC_DATABASE_URL_VAULT),
  acceptV1Grants: env.GRANT_ACCEPT_V1,
});
const runnerSettings = (env: Values<typeof common & typeof runner>) => ({
  syncDatabase: databaseOf(env, env.SYNC_DATABASE_URL_RUNNER, env.DATABASE_MAX_CONNECTIONS),
  /** Empty: grants are off. */
  grantPrivateKeys: env.MANA_AI_PRIVATE_KEY_PEM,
  gateway: {
    ...{ url: env.MANA_LLM_URL, serviceKey: env.MANA_SERVICE_KEY },
    timeoutMs: env.MANA_LLM_TIMEOUT_SECONDS * 1_000,
    mostInFlight: env.MANA_LLM_MAX_IN_FLIGHT,
  },
  planner: {
    model: env.MANA_LLM_MODEL,
    compactModel: env.MANA_LLM_COMPACT_MODEL,
    contextTokens: env.MANA_LLM_CONTEXT_TOKENS,
    maxReplyTokens: env.MANA_LLM_MAX_TOKENS,
    maxRounds: env.MAX_PLANNER_ROUNDS,
    policyMode: env.POLICY_MODE,
    defaultTokensPerDay: env.DEFAULT_TOKENS_PER_DAY,
  },
  heartbeatTimeoutMs: env.ACTIVITY_HEARTBEAT_TIMEOUT_SECONDS * 1_000,
  /** Null: no limit. */
  roundsPerSecond: env.PLANNER_ROUNDS_PER_SECOND ?? null,
  research: {
    /** Null: off. */
    shallowUrl: env.MANA_API_URL ?? null,
    deep:
      env.DEEP_RESEARCH_ENABLED && env.MANA_RESEARCH_URL !== undefined
        ? { url: env.MANA_RESEARCH_URL, serviceKey: env.MANA_SERVICE_KEY }
        : null,
  },
});
const projectionSettings = (env: Values<typeof common & typeof projection>) => ({
  syncDatabase: databaseOf(env, env.SYNC_DATABASE_URL_PROJECTION, env.DATABASE_MAX_CONNECTIONS),
});

const worker = (role: Exclude<keyof typeof HEALTH_PORTS, 'api'>) => ({
  HEALTH_PORT: port.default(HEALTH_PORTS[role]),
  // Not set: the worker has no version.
  BUILD_ID: buildId.optional(),
  // For namespaces with runs of before there were codec keys.
  TEMPORAL_CODEC_ACCEPT_PLAINTEXT: boolean.default(false),
});
/** The variables of each process. */
export const shapes = {
  api: { ...common, HEALTH_PORT: port.default(HEALTH_PORTS.api), ...api },
  vault: { ...common, ...worker('vault'), ...vault },
  runner: { ...common, ...worker('runner'), ...workflows, ...runner },
  projection: { ...common, ...worker('projection'), ...workflows, ...projection },
  // The three workers in one process; each part keeps its own bounded pools.
  all: {
    ...common,
    ...worker('all'),
    ...workflows,
    ...vault,
    ...runner,
    ...projection,
    ALLOW_ALL_IN_ONE: switchedOn('true, to let one process hold the secrets of all zones (development only)'),
  },
};

/** One schema per process role: the environment in, the settings out. */
export const schemas = {
  api: z.object(shapes.api).transform((env) => ({ ...processSettings(env), api: apiSettings(env) })),
  vault: z.object(shapes.vault).transform((env) => ({ ...workerSettings(env), vault: vaultSettings(env) })),
  runner: z
    .object(shapes.runner)
    .transform((env) => ({ ...workerSettings(env), runner: runnerSettings(env) })),
  projection: z
    .object(shapes.projection)
    .transform((env) => ({ ...workerSettings(env), projection: projectionSettings(env) })),
  all: z.object(shapes.all).transform((env) => ({
    ...workerSettings(env),
    vault: vaultSettings(env),
    runner: runnerSettings(env),
    projection: projectionSettings(env),
  })),
};

/** May also come from the file that `<name>_FILE` names, as container platforms hand out secrets. */
export const SECRETS = [
  'SYNC_DATABASE_URL',
  'SYNC_DATABASE_URL_API',
  'SYNC_DATABASE_URL_VAULT',
  'SYNC_DATABASE_URL_RUNNER',
  'SYNC_DATABASE_URL_PROJECTION',
  'AUTH_DATABASE_URL',
  'TEMPORAL_CODEC_KEYS',
  'TEMPORAL_API_KEY',
  'MANA_AUTH_KEK',
  'MANA_AUTH_KEKS',
  'MANA_AI_PUBLIC_KEY_PEM',
  'MANA_AI_PRIVATE_KEY_PEM',
  'MANA_SERVICE_KEY',
  'MANA_SERVICE_KEY_SHA256',
];
