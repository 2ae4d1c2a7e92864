import { APIError } from 'openai';
import { z } from 'zod';
import {
  GatewayDeniedError,
  GatewayRejectedError,
  GatewayUnavailableError,
  type GatewayFailure,
  type GatewayProblem,
} from '#domain/base/errors.ts';
import { isWorthRetrying, parseRetryAfter } from '#http/replies.ts';
import { wasNotSent } from '#http/connection-errors.ts';

const NO_ANSWER: GatewayProblem = { kind: null, status: null, retryAfterMs: null };

/**
 * What the OpenAI client throws for a status outside 2xx.
 *
 * The client's own errors look for `error` in the body, which this gateway calls `detail`, and quote the rest in
 * their message. This one keeps the verdict alone: bodies echo prompts (docs/architecture.md section 6).
 */
export class GatewayStatusError extends APIError {
  readonly failure: GatewayFailure;
  constructor(failure: GatewayFailure, headers: Headers) {
    super(failure.problem.status ?? 0, undefined, undefined, headers);
    this.failure = failure;
  }
}

/** A 200 that holds no reply. The next try may well bring one, so it counts as unavailable. */
export const noReply = (): GatewayUnavailableError =>
  new GatewayUnavailableError({ ...NO_ANSWER, status: 200 });

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

/** Kinds that stay what they are whatever the status says (docs/platform.md section 10). */
const FINAL_KINDS: ReadonlySet<string> = new Set(['blocked', 'capability']);
/** The operator's key, ours or the provider's: no request of any user would fare better. */
const DENIED: ReadonlySet<number> = new Set([401, 403]);

/** How providers say that a request is larger than the model's window. */
const OVERFLOW_WORDS = [
  ...[
    'context length',
    'context_length',
    'context window',
    'context size',
    'maximum context',
    'exceeds the context',
  ],
  ...[
    'prompt is too long',
    'input is too long',
    'too many tokens',
    'too many input tokens',
    'input token count',
  ],
  ...[
    'reduce the length',
    'maximum prompt length',
    'exceeds the maximum number of tokens',
    'too large for model',
  ],
];
const OVERFLOW_STATUS = 413;
/** What providers answer to an overflow as to much else. */
const BAD_REQUEST = 400;
const MAX_DETAIL_CHARS = 4_000;

/** The words of providers are looked at and not kept: they quote prompts. */
function speaksOfOverflow(body: unknown): boolean {
  const words = JSON.stringify(body ?? '')
    .slice(0, MAX_DETAIL_CHARS)
    .toLowerCase();
  return OVERFLOW_WORDS.some((phrase) => words.includes(phrase));
}

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
const isFinalForProvider = (providerStatus: number | null): boolean =>
  providerStatus !== null && !isWorthRetrying(providerStatus);

function providerStatusOf(detail: unknown): number | null {
  const [, status] = (typeof detail === 'string' && /^Client error '(4\d\d)\b/.exec(detail)) || [];
  return status === undefined ? null : Number(status);
}

/**
 * The verdict on a status outside 2xx (docs/platform.md section 10, with what the gateway really does).
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
  const providerStatus = status === 500 ? providerStatusOf(detail) : null;
  // Limits of tokens a minute speak of tokens, too.
  const isLimit = status === 429 || providerStatus === 429;
  const isOverflow = [status, providerStatus].includes(OVERFLOW_STATUS) || speaksOfOverflow(input.body);
  const isOther = isLimit || kind === 'blocked' || DENIED.has(status) || DENIED.has(providerStatus ?? 0);
  if (isOverflow && !isOther) return new GatewayRejectedError({ ...problem, overflow: true });
  if (DENIED.has(status) || DENIED.has(providerStatus ?? 0) || kind === 'auth')
    return new GatewayDeniedError(problem);
  if (isWorthRetrying(status) && !(kind !== null && FINAL_KINDS.has(kind))) {
    if (!isFinalForProvider(providerStatus)) return new GatewayUnavailableError(problem);
    return new GatewayRejectedError(
      providerStatus === BAD_REQUEST ? { ...problem, mayOverflow: true } : problem,
      true,
    );
  }
  const isText = typeof detail === 'string' || input.bodyIsText;
  return new GatewayRejectedError(problem, status === 400 && isText);
}
