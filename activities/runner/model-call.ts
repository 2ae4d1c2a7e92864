import type { MissionId, UserId } from '#domain/base/ids.ts';
import { randomUUID } from 'node:crypto';
import type { RunnerDependencies } from './dependencies.ts';
import { persistently } from './persistently.ts';
import { endFailedCall, settleUnreadable, type BudgetedCall } from './token-budget.ts';
import {
  decryptCallPart,
  encryptCallPart,
  transcriptKeyId,
  type CallPartContext,
} from '#crypto/transcript.ts';
import type { CallPurpose } from '#db/budget-reservations.ts';
import type { UserTransaction } from '#db/client.ts';
import { claimCall, discardReply, storeReply, storeRequest, type CallRef } from '#db/model-calls.ts';
import { GatewayUnavailableError } from '#domain/base/errors.ts';
import type { RunRef } from '#domain/run/run.ts';
import { storedRequestSchema, type StoredRequest } from '#domain/planner/plan/stored-request.ts';
import { noReply } from '#llm/gateway-errors.ts';
import { isCompletion, rawReplySchema, type RawReply } from '#llm/reply-schema.ts';

/** One call of the model and the key that encrypts what is kept of it. */
export interface KeptCall extends CallRef {
  readonly missionId: MissionId;
  readonly runId: string;
}

export const callOf = (run: RunRef, key: Buffer, round: number, purpose: CallPurpose): KeptCall => ({
  ...{ iterationId: run.iterationId, missionId: run.missionId, runId: run.runId },
  ...{ keyId: transcriptKeyId(key), round, purpose },
});

/** What is kept of a call so far. */
export interface ClaimedCall {
  readonly request: StoredRequest | null;
  readonly raw: RawReply | null;
}

/** Makes the call's place, or finds what an earlier attempt has kept there; other attempts wait for our transaction. */
export async function claim(tx: UserTransaction, call: KeptCall, key: Buffer): Promise<ClaimedCall> {
  const row = await claimCall(tx, call);
  const opened = (part: 'request' | 'reply', value: Buffer | null): unknown =>
    value === null ? null : decryptCallPart(key, contextOf(tx.userId, call, part), value);
  const request = storedRequestSchema.safeParse(opened('request', row.request));
  const raw = rawReplySchema.safeParse(opened('reply', row.reply));
  return { request: request.data ?? null, raw: raw.data ?? null };
}

export const newIdempotencyKey = (): string => randomUUID();

/** Keeps the request, in the transaction that prepares the call: nothing is sent that is not kept. */
export async function keepRequest(
  tx: UserTransaction,
  call: KeptCall,
  key: Buffer,
  request: StoredRequest,
): Promise<void> {
  await storeRequest(tx, call, encryptCallPart(key, contextOf(tx.userId, call, 'request'), request));
}

/**
 * Keeps the reply as it came, before anything is read into it: in a transaction of its own that holds no figure and no text
 * which a column could refuse. It is paid for, so a connection that breaks just now costs another try of storing, not the
 * reply.
 *
 * @returns the reply that counts: of two attempts the first one's; ours as well when the run has ended meanwhile
 */
export async function keepRaw(
  deps: RunnerDependencies,
  userId: UserId,
  call: KeptCall,
  key: Buffer,
  raw: RawReply,
  signal: AbortSignal,
): Promise<RawReply> {
  const context = contextOf(userId, call, 'reply');
  const encrypted = encryptCallPart(key, context, raw);
  const standing = await persistently(
    () => deps.database.asUser(userId, (tx) => storeReply(tx, call, encrypted)),
    signal,
  );
  if (standing === null) return raw;
  return rawReplySchema.safeParse(decryptCallPart(key, context, standing)).data ?? raw;
}

/** @returns the reply of the gateway, which is kept by then; see `keepRaw` */
export async function askAndKeep(
  deps: RunnerDependencies,
  userId: UserId,
  asked: {
    readonly call: KeptCall & BudgetedCall;
    readonly key: Buffer;
    readonly request: StoredRequest;
  },
  signal: AbortSignal,
): Promise<RawReply> {
  const { call, key, request } = asked;
  const { bodyText, idempotencyKey } = request;
  let raw: RawReply;
  try {
    raw = await deps.gateway.complete(bodyText, { signal, idempotencyKey });
  } catch (error) {
    throw await endFailedCall(deps, userId, call, error);
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
  const request = encryptCallPart(key, contextOf(userId, call, 'request'), again);
  return deps.database.asUser(userId, async (tx) => {
    await settleUnreadable(tx, call);
    const counted = await discardReply(tx, call, request, isCompletion(asked.raw));
    return new GatewayUnavailableError(noReply().problem, counted);
  });
}

const contextOf = (
  userId: UserId,
  call: CallRef & Pick<KeptCall, 'missionId'>,
  part: 'request' | 'reply',
): CallPartContext => ({
  userId,
  missionId: call.missionId,
  iterationId: call.iterationId,
  ...{ round: call.round, purpose: call.purpose, part },
});
