import rateLimit, { type CreateRateLimitOptions } from '@fastify/rate-limit';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { RateLimitedError } from '#domain/base/errors.ts';
import { userOf } from './authentication.ts';

/** Requests a minute, counted in this process. */
export interface RateLimits {
  /** Of an address; many users may share one. */
  readonly perAddress: number;
  readonly perUser: number;
  /** What leaves a row or a run: grants, revocations, changes of schedules, runs; each is counted by itself. */
  readonly mintsPerUser: number;
}

export const DEFAULT_RATE_LIMITS: RateLimits = { perAddress: 3000, perUser: 600, mintsPerUser: 60 };

const WINDOW_MS = 60_000;

/**
 * Limits every address, before tokens are checked: each check costs a signature verification. A hook of the instance
 * and not the plugin's own, which would be one of each route and so run after authentication.
 *
 * @param exempt paths of routes that are never refused
 */
export async function limitAddresses(
  app: FastifyInstance,
  perMinute: number,
  exempt: readonly string[],
): Promise<void> {
  await app.register(rateLimit, { global: false });
  const limit = limiter(app, { max: perMinute });
  app.addHook('onRequest', async (request, reply) => {
    if (!exempt.includes(request.routeOptions.url ?? '')) await limit(request, reply);
  });
}

/** A hook that limits the user of a request; each one made counts on its own. */
export const limitUser = (app: FastifyInstance, perMinute: number) =>
  limiter(app, { max: perMinute, keyGenerator: userOf });

/** Likewise for the address, for routes that are stricter than `limitAddresses`. */
export const limitAddress = (app: FastifyInstance, perMinute: number) => limiter(app, { max: perMinute });

function limiter(app: FastifyInstance, options: CreateRateLimitOptions) {
  const count = app.createRateLimit({ timeWindow: WINDOW_MS, ...options });
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const result = await count(request);
    if (result.isAllowed || !result.isExceeded) return;
    reply.header('retry-after', result.ttlInSeconds);
    throw new RateLimitedError(`too many requests; try again in ${result.ttlInSeconds} s`);
  };
}
