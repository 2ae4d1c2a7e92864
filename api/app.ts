import cors from '@fastify/cors';
import helmet from '@fastify/helmet';
import { randomUUID, type KeyObject } from 'node:crypto';
import Fastify, { type FastifyBaseLogger, type FastifyInstance } from 'fastify';
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import type { KekRing } from '#crypto/unwrap-master-key.ts';
import type { Database, UserTransaction } from '#db/client.ts';
import { readClockMs } from '#db/sync-changes.ts';
import type { GrantVersion } from '#domain/wire/grant.ts';
import type { Clients } from '#temporal/namespaces.ts';
import type { CodecKeys } from '#temporal/payload-codec.ts';
import { createApiCalls } from './temporal-calls.ts';
import { HEALTH_URL, healthRoutes, READY_URL, createApiReadiness } from './routes/health.ts';
import { requireUser } from './plugins/authentication.ts';
import { answerClientErrors } from './plugins/client-errors.ts';
import { answerError, answerErrors } from './plugins/errors.ts';
import { readJsonBodies } from './plugins/json-bodies.ts';
import { describeRoutes, openApiPage, openApiRoute } from './plugins/openapi.ts';
import { refuseOtherOptions } from './plugins/preflights.ts';
import { DEFAULT_RATE_LIMITS, limitAddresses, limitUser, type RateLimits } from './plugins/rate-limits.ts';
import { createLogController, logRequests } from './plugins/request-log.ts';
import { traceRequests } from './plugins/traces.ts';
import { CODEC_URL, codecEndpoint, type CodecEndpointSettings } from './routes/codec/codec-endpoint.ts';
import { decryptAuditRoutes } from './routes/api/v1/me/ai-audit.ts';
import { missionGrantRoutes } from './routes/api/v1/me/ai-mission-grant.ts';
import { missionGrantOfMissionRoutes } from './routes/api/v1/me/ai-mission-grant/mission-id.ts';
import { missionRunRoutes } from './routes/api/v1/me/missions/run.ts';
import { missionRunsRoutes } from './routes/api/v1/me/missions/runs.ts';
import { missionScheduleRoutes } from './routes/api/v1/me/missions/schedule.ts';
import { tickRoute } from './routes/internal/tick.ts';
import { metricsRoute } from './routes/metrics.ts';
import { createRunCursors } from './run-cursors.ts';
import { createTokenVerifier, type IdentitySettings } from './token-verifier.ts';

export interface ApiDependencies {
  /** Opened and closed by the caller, as `authDatabase` is. */
  readonly syncDatabase: Database;
  readonly authDatabase: Database;
  /** Opened and closed by the caller. Null: what needs Temporal answers 503. */
  readonly temporalClient?: Clients | null;
  readonly identity: IdentitySettings;
  readonly keks: KekRing;
  /** The runner's; null: grants are off. */
  readonly grantPublicKey: KeyObject | null;
  readonly grantMintVersion: GrantVersion;
  readonly corsOrigins: readonly string[];
  /** Addresses or networks whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: readonly string[];
  /** Sign the cursors of lists; without them a cursor is of this process alone. */
  readonly codecKeys?: CodecKeys;
  /** Null: the Temporal UI and CLI show what is encrypted as it is. */
  readonly codecEndpoint?: CodecEndpointSettings | null;
  /** SHA-256 of the service keys that may read `/metrics`; nobody by default. */
  readonly serviceKeySha256?: readonly Buffer[];
  /** Whether the description of the API is served as a page, too. */
  readonly openApiPage?: boolean;
  readonly logger: FastifyBaseLogger;
  readonly rateLimits?: RateLimits;
  readonly timeouts?: ApiTimeouts;
  /** Of sessions of operators. Milliseconds since the epoch; the machine's clock by default. */
  readonly now?: () => number;
  /** Of grants, schedules and runs; the database's by default, as everywhere. */
  readonly readClock?: (tx: UserTransaction) => Promise<number>;
}

/** Nobody can hold a connection, or us, for longer than this. */
export interface ApiTimeouts {
  /** From the connection, or the end of the request before, until the header has arrived. */
  readonly headersMs: number;
  /** Until the whole request has arrived. */
  readonly requestMs: number;
  /** From the end of the header until the answer. */
  readonly handlerMs: number;
  /** How often connections are looked at for the first two. */
  readonly checkEveryMs: number;
}

/** 1000 record ids of 512 ASCII characters, or of some 300 characters of three bytes, and their tables. */
const BODY_LIMIT_BYTES = 1024 * 1024;
/** Defaults of `ApiTimeouts`. The databases answer or are given up within ten seconds (api/server.ts), Temporal within five. */
const TIMEOUTS: ApiTimeouts = {
  headersMs: 10_000,
  requestMs: 30_000,
  handlerMs: 20_000,
  checkEveryMs: 2_000,
};
/** Routes with an id in them: the longest one, percent-encoded. */
const MAX_PARAM_LENGTH = 4096;

/** Builds the API; `listen` or `inject` it, and `close` it. */
export async function buildApp(dependencies: ApiDependencies): Promise<FastifyInstance> {
  const {
    corsOrigins,
    trustedProxies,
    logger,
    rateLimits = DEFAULT_RATE_LIMITS,
    timeouts = TIMEOUTS,
    now = Date.now,
    readClock = readClockMs,
  } = dependencies;
  const app: FastifyInstance = Fastify({
    loggerInstance: logger,
    logController: createLogController(),
    genReqId: () => randomUUID(),
    bodyLimit: BODY_LIMIT_BYTES,
    requestTimeout: timeouts.requestMs,
    handlerTimeout: timeouts.handlerMs,
    http: { headersTimeout: timeouts.headersMs, connectionsCheckingInterval: timeouts.checkEveryMs },
    clientErrorHandler: answerClientErrors(logger),
    trustProxy: trustedProxies.length === 0 ? false : [...trustedProxies],
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    frameworkErrors: (error, request, reply) => void answerError(error, request, reply),
  });
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);

  logRequests(app);
  traceRequests(app);
  answerErrors(app);
  readJsonBodies(app);
  await app.register(helmet);
  refuseOtherOptions(app);
  await app.register(cors, {
    origin: corsOrigins.length === 0 ? false : [...corsOrigins],
    methods: ['GET', 'POST', 'PUT', 'DELETE'],
    allowedHeaders: ['authorization', 'content-type'],
    exposedHeaders: ['link', 'retry-after', 'x-audit-head', 'x-request-id'],
  });
  await limitAddresses(app, rateLimits.perAddress, [HEALTH_URL, READY_URL]);

  await describeRoutes(app);
  openApiRoute(app);
  if (dependencies.openApiPage === true) await openApiPage(app);
  metricsRoute(app, dependencies.serviceKeySha256 ?? []);
  const { syncDatabase } = dependencies;
  const { runs, operatorNote, runPass } = createApiCalls(dependencies.temporalClient ?? null);
  const runDependencies = {
    syncDatabase,
    runs,
    cursors: createRunCursors(dependencies.codecKeys ?? null),
    readClock,
  };
  tickRoute(app, dependencies.serviceKeySha256 ?? [], runPass);
  healthRoutes(app, createApiReadiness(dependencies));
  await app.register(
    (me, _options, done) => {
      requireUser(me, createTokenVerifier(dependencies.identity));
      me.addHook('onRequest', limitUser(me, rateLimits.perUser));
      me.addHook('onRequest', async (_request, reply) => {
        reply.header('cache-control', 'no-store');
      });
      missionGrantRoutes(me, { ...dependencies, readClock }, rateLimits.mintsPerUser);
      missionGrantOfMissionRoutes(me, syncDatabase, rateLimits.mintsPerUser);
      decryptAuditRoutes(me, syncDatabase);
      missionScheduleRoutes(me, { syncDatabase, operatorNote, readClock }, rateLimits.mintsPerUser);
      missionRunsRoutes(me, runDependencies, rateLimits.mintsPerUser);
      missionRunRoutes(me, runDependencies, rateLimits.mintsPerUser);
      done();
    },
    { prefix: '/api/v1/me' },
  );
  const { codecEndpoint: codec = null } = dependencies;
  if (codec !== null) {
    await app.register((routes) => codecEndpoint(routes, codec, now), { prefix: CODEC_URL });
  }
  return app;
}
