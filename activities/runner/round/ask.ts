import { contextOfCall, newIdempotencyKey, type KeptCall } from './kept-call.ts';
import type { RunnerDependencies } from '#activities/runner/dependencies.ts';
import { persistently } from '#activities/runner/persistently.ts';
import {
  endFailedCall,
  releaseCall,
  settleUnreadable,
  type BudgetedCall,
} from '#activities/runner/token-budget.ts';
import { decryptCallPart, encryptCallPart } from '#crypto/transcript.ts';
import { discardReply, holdCall, storeReply } from '#db/model-calls.ts';
import { GatewayUnavailableError, OwnError } from '#domain/base/errors.ts';
import type { UserId } from '#domain/base/ids.ts';
import type { StoredRequest } from '#domain/planner/plan/stored-request.ts';
import { noReply } from '#llm/gateway-errors.ts';
import { isCompletion, rawReplySchema, type RawReply } from '#llm/reply-schema.ts';

/**
 * Keeps the reply as it came, before anything is read into it: in a transaction of its own that holds no figure and no text
 * which a column could refuse. It is paid for, so a connection that breaks just now costs another try of storing, not the
 * reply.
 *
 * @returns the reply that counts: of two attempts the first one's; ours as well when the run has ended meanwhile
 */
async function keepRaw(
  deps: RunnerDependencies,
  userId: UserId,
  call: KeptCall,
  key: Buffer,
  raw: RawReply,
  signal: AbortSignal,
): Promise<RawReply> {
  const context = contextOfCall(userId, call, 'reply');
  const encrypted = encryptCallPart(key, context, raw);
  const standing = await persistently(
    () => deps.database.asUser(userId, (tx) => storeReply(tx, call, encrypted)),
    signal,
  );
  if (standing === null) return raw;
  return rawReplySchema.safeParse(decryptCallPart(key, context, standing)).data ?? raw;
}

/** What the last look before the call threw: nothing was sent. */
class NotSentError extends OwnError {
  override readonly name = 'NotSentError';
  readonly why: unknown;
  constructor(why: unknown) {
    super('the request was not sent');
    this.why = why;
  }
}

/**
 * @param options.lastLook see `CompletionOptions`; what it throws is thrown, and what the call had reserved is given back
 * @param options.isAskedAgain whether a request that failed so is followed by another one at once
 * @returns the reply of the gateway, which is kept by then; see `keepRaw`
 */
export async function askAndKeep(
  deps: RunnerDependencies,
  userId: UserId,
  asked: {
    readonly call: KeptCall & BudgetedCall;
    readonly key: Buffer;
    readonly request: StoredRequest;
  },
  signal: AbortSignal,
  {
    lastLook,
    isAskedAgain = () => false,
  }: { readonly lastLook: () => Promise<void>; readonly isAskedAgain?: (error: unknown) => boolean },
): Promise<RawReply> {
  const { call, key, request } = asked;
  const { bodyText, idempotencyKey } = request;
  let raw: RawReply;
  try {
    raw = await deps.gateway.complete(bodyText, {
      ...{ signal, idempotencyKey },
      lastLook: () =>
        lastLook().catch((error: unknown) => {
          throw new NotSentError(error);
        }),
    });
  } catch (error) {
    if (error instanceof NotSentError) {
      await releaseCall(deps, userId, call);
      throw error.why;
    }
    throw await endFailedCall(deps, userId, call, error, isAskedAgain(error));
  }
  return keepRaw(deps, userId, call, key, raw, signal);
}

/**
 * Takes a reply back in which nothing can be read. Whoever asks again makes another request of the same bytes: a gateway
 * that honours idempotency keys would give the same answer for ever.
 *
 * @returns what to throw
 */
export async function takeBack(
  deps: RunnerDependencies,
  userId: UserId,
  asked: {
    readonly call: BudgetedCall & KeptCall;
    readonly key: Buffer;
    readonly request: StoredRequest;
    readonly raw: RawReply;
  },
): Promise<GatewayUnavailableError> {
  const { call, key } = asked;
  const again = { ...asked.request, idempotencyKey: newIdempotencyKey() };
  const request = encryptCallPart(key, contextOfCall(userId, call, 'request'), again);
  return deps.database.asUser(userId, async (tx) => {
    holdCall(tx, call);
    await settleUnreadable(tx, call);
    const counted = await discardReply(tx, call, request, isCompletion(asked.raw));
    return new GatewayUnavailableError(noReply().problem, counted);
  });
}
