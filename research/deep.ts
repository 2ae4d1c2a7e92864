import { z } from 'zod';
import { exchange, routeOf, type Exchange } from './exchange.ts';
import { httpUrlSchema, textSchema } from './lenient.ts';
import { ResearchUnavailableError } from '#domain/base/errors.ts';
import type { DeepAnswer } from '#domain/run/research-note.ts';

/** What became of a submission, which costs its user credits. */
export type DeepSubmission =
  | { readonly kind: 'submitted'; readonly taskId: string }
  /** Certainly nothing was submitted, and a later try may be taken. */
  | {
      readonly kind: 'not-submitted';
      /** Null where no connection came about. */
      readonly refusal: { readonly status: number; readonly retryAfterMs: number | null } | null;
    }
  | { readonly kind: 'refused'; readonly status: number }
  /** It may have been submitted: it must not be again. */
  | { readonly kind: 'unknown' };

export type DeepState =
  | { readonly kind: 'pending' }
  | { readonly kind: 'completed'; readonly answer: DeepAnswer }
  /** Failed, cancelled, unknown to the service, or completed without an answer. */
  | { readonly kind: 'failed' }
  /** The service accepts no key of ours; it says nothing of the task. */
  | { readonly kind: 'denied'; readonly status: number };

export interface DeepResearch {
  /**
   * Submits once; what is not certain counts as submitted.
   *
   * @param request.idempotencyKey should the service honour it one day
   * @throws the signal's reason when the signal ended the request: then it may have been submitted as well
   */
  submit(
    request: { readonly query: string; readonly userId: string; readonly idempotencyKey: string },
    signal: AbortSignal,
  ): Promise<DeepSubmission>;
  /**
   * Asks once how far a task is.
   *
   * @throws ResearchUnavailableError when there was no answer to understand
   * @throws the signal's reason when the signal ended the request
   */
  state(task: { readonly taskId: string; readonly userId: string }, signal: AbortSignal): Promise<DeepState>;
}

export interface DeepResearchOptions {
  /** `MANA_RESEARCH_URL`. */
  readonly baseUrl: string;
  readonly serviceKey: string;
  /** For each request, 40 s by default: an attempt of the waiting activity has a minute. */
  readonly timeoutMs?: number;
}

const ROUTE = '/api/v1/internal/research/async';
const APP_ID = 'ai';
/** docs/platform.md section 11: the default. */
const PROVIDER = 'gemini-deep-research-max';
const DEFAULT_TIMEOUT_MS = 40_000;

/** It becomes a part of an address, so `..` is none. */
const taskIdSchema = z.string().regex(/^[A-Za-z0-9][\w.:-]{0,199}$/);
export const isTaskId = (value: unknown): value is string => taskIdSchema.safeParse(value).success;
const submittedSchema = z.object({ taskId: taskIdSchema });
const stateSchema = z.object({
  status: z.enum(['queued', 'running', 'completed', 'failed', 'cancelled']),
  result: z.unknown().optional(),
});
const citationSchema = z.object({ url: httpUrlSchema, title: textSchema, snippet: textSchema });
const resultSchema = z.object({
  answer: z.object({
    answer: z.string().refine((text) => text.trim() !== ''),
    citations: z.array(z.unknown()).catch([]),
  }),
});

/**
 * The client of mana-research.
 *
 * @see docs/platform.md section 11
 */
export function createDeepResearch(options: DeepResearchOptions): DeepResearch {
  const { baseUrl, serviceKey, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  const headersFor = (userId: string): Record<string, string> => ({
    'x-service-key': serviceKey,
    'x-user-id': userId,
    'x-app-id': APP_ID,
  });
  return {
    async submit({ query, userId, idempotencyKey }, signal) {
      const headers = { ...headersFor(userId), 'idempotency-key': idempotencyKey };
      const body = { query, provider: PROVIDER };
      const url = routeOf(baseUrl, ROUTE);
      return submissionOf(await exchange({ method: 'POST', url, headers, body, timeoutMs }, signal));
    },
    async state({ taskId, userId }, signal) {
      const url = routeOf(baseUrl, `${ROUTE}/${encodeURIComponent(taskId)}`);
      return stateOf(await exchange({ method: 'GET', url, headers: headersFor(userId), timeoutMs }, signal));
    },
  };
}

function submissionOf(outcome: Exchange): DeepSubmission {
  switch (outcome.kind) {
    case 'answered': {
      const parsed = submittedSchema.safeParse(outcome.body);
      return parsed.success ? { kind: 'submitted', taskId: parsed.data.taskId } : { kind: 'unknown' };
    }
    case 'not-sent':
      return { kind: 'not-submitted', refusal: null };
    case 'refused':
      return refusedSubmission(outcome);
    case 'unknown':
      return outcome;
  }
}

/**
 * 429 and 503 are said before anything is done. Other errors of the server, and timeouts that a proxy put into words, may
 * come after the task was made and its credits were taken.
 */
function refusedSubmission(refusal: Extract<Exchange, { kind: 'refused' }>): DeepSubmission {
  const { status } = refusal;
  if (status === 429 || status === 503) return { kind: 'not-submitted', refusal };
  return status === 408 || status >= 500 ? { kind: 'unknown' } : { kind: 'refused', status };
}

function stateOf(outcome: Exchange): DeepState {
  if (outcome.kind === 'refused') {
    const { status } = outcome;
    if (status === 401 || status === 403) return { kind: 'denied', status };
    const isFinal = status < 500 && status !== 408 && status !== 429;
    if (isFinal) return { kind: 'failed' };
    throw new ResearchUnavailableError(outcome);
  }
  const parsed = stateSchema.safeParse(outcome.kind === 'answered' ? outcome.body : undefined);
  if (!parsed.success) throw new ResearchUnavailableError(null);
  const { status, result } = parsed.data;
  if (status === 'queued' || status === 'running') return { kind: 'pending' };
  return status === 'completed' ? answerOf(result) : { kind: 'failed' };
}

function answerOf(result: unknown): DeepState {
  const parsed = resultSchema.safeParse(result);
  if (!parsed.success) return { kind: 'failed' };
  const { answer, citations } = parsed.data.answer;
  const readable = citations.flatMap((citation) => {
    const read = citationSchema.safeParse(citation);
    return read.success ? [read.data] : [];
  });
  return { kind: 'completed', answer: { answer, citations: readable } };
}
