import { APIError } from 'openai';
import { z } from 'zod';
import { GatewayRejectedError, GatewayUnavailableError } from '../domain/errors.ts';
import type { GatewayProblem } from '../domain/errors.ts';
import type { PlannerReply } from '../domain/planner-reply.ts';
import { wasNotSent } from './connection-errors.ts';
import { readReply } from './reply-schema.ts';
import type { RawReply } from './reply-schema.ts';
import { parseRetryAfter } from './retry-after.ts';

export type GatewayFailure = GatewayUnavailableError | GatewayRejectedError;

const NO_ANSWER: GatewayProblem = { kind: null, status: null, retryAfterMs: null };

/**
 * What the OpenAI client throws for a status outside 2xx.
 *
 * The client's own errors look for `error` in the body, which this gateway calls `detail`, and quote the rest in
 * their message. This one keeps the verdict alone: bodies echo prompts (architecture section 6).
 */
export class GatewayStatusError extends APIError {
  readonly failure: GatewayFailure;
  constructor(failure: GatewayFailure, headers: Headers) {
    super(failure.problem.status ?? 0, undefined, undefined, headers);
    this.failure = failure;
  }
}

/** A 200 that holds no reply. The next try may well bring one, so it counts as unavailable. */
const noReply = (): GatewayUnavailableError => new GatewayUnavailableError({ ...NO_ANSWER, status: 200 });

/** @throws GatewayUnavailableError when the 200 holds no reply */
export function replyOf(raw: RawReply): PlannerReply {
  const reply = readReply(raw);
  if (reply === null) throw noReply();
  return reply;
}

/**
 * Maps whatever the client threw. Causes are dropped on purpose: they carry bodies and addresses.
 *
 * Errors of the client that are no answer of the server are timeouts and broken connections: worth another try. What
 * is no error of the client at all (a header it cannot send) would fail the same way for ever.
 */
export function toGatewayFailure(error: unknown): GatewayFailure {
  if (error instanceof GatewayStatusError) return error.failure;
  if (!(error instanceof APIError)) return new GatewayRejectedError(NO_ANSWER);
  return new GatewayUnavailableError(wasNotSent(error) ? { ...NO_ANSWER, notSent: true } : NO_ANSWER);
}

/** Kinds that stay what they are whatever the status says (contract section 10). */
const FINAL_KINDS: ReadonlySet<string> = new Set(['blocked', 'capability', 'auth']);

/** 408 is a timeout that a proxy put into words. */
const isWorthRetrying = (status: number): boolean => status === 408 || status === 429 || status >= 500;

// The kind is stored and shown, so only something that looks like an identifier is taken for one.
const detailSchema = z.object({
  detail: z.union([
    z.string(),
    z.object({
      kind: z
        .string()
        .regex(/^[a-z][a-z0-9_]{0,39}$/)
        .nullable()
        .catch(null),
    }),
  ]),
});

/**
 * A provider's refusal comes mislabelled as 500, with the real status in the text. The same request would be refused for
 * two hours; one more try is worth it, because an alias may be served by another provider then.
 */
function isFinalForProvider(detail: unknown): boolean {
  const [, status] = (typeof detail === 'string' && /^Client error '(4\d\d)\b/.exec(detail)) || [];
  return status !== undefined && !isWorthRetrying(Number(status));
}

/**
 * The verdict on a status outside 2xx (contract section 10, with what the gateway really does).
 *
 * @param body parsed JSON, or undefined when the body was none
 * @param bodyIsText the body was text that is no JSON
 */
export function failureOfStatus(input: {
  status: number;
  body: unknown;
  bodyIsText: boolean;
  retryAfter: string | null;
  nowMs: number;
}): GatewayFailure {
  const { status } = input;
  const parsed = detailSchema.safeParse(input.body);
  const detail = parsed.success ? parsed.data.detail : null;
  const kind = detail === null || typeof detail === 'string' ? null : detail.kind;
  const problem: GatewayProblem = {
    kind,
    status,
    retryAfterMs: parseRetryAfter(input.retryAfter, input.nowMs),
  };
  if (isWorthRetrying(status) && !(kind !== null && FINAL_KINDS.has(kind))) {
    const refusedByProvider = status === 500 && isFinalForProvider(detail);
    return refusedByProvider ? new GatewayRejectedError(problem, true) : new GatewayUnavailableError(problem);
  }
  const isText = typeof detail === 'string' || input.bodyIsText;
  return new GatewayRejectedError(problem, status === 400 && isText);
}
