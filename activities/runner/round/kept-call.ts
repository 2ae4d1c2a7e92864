import { randomUUID } from 'node:crypto';
import type { AskingRun, RunScope } from '#activities/runner/run-scope.ts';
import type { BudgetedCall } from '#activities/runner/token-budget.ts';
import {
  decryptCallPart,
  encryptCallPart,
  transcriptKeyId,
  type CallPartContext,
} from '#crypto/transcript.ts';
import type { CallPurpose } from '#db/budget-reservations.ts';
import { claimCall, storeRequest, type CallRef } from '#db/model-calls.ts';
import type { MissionId, UserId } from '#domain/base/ids.ts';
import { storedRequestSchema, type StoredRequest } from '#domain/planner/plan/stored-request.ts';
import { rawReplySchema, type RawReply } from '#llm/reply-schema.ts';

/** One call of the model and the key that encrypts what is kept of it. */
export interface KeptCall extends CallRef {
  readonly missionId: MissionId;
  readonly runId: string;
}

export const callOf = (
  { run, key }: RunScope<AskingRun & { readonly round: number }>,
  purpose: CallPurpose,
): KeptCall & BudgetedCall => ({
  ...{ iterationId: run.iterationId, missionId: run.missionId, runId: run.runId, agentId: run.agentId },
  ...{ keyId: transcriptKeyId(key), round: run.round, purpose },
});

/** What is kept of a call so far. */
export interface ClaimedCall {
  readonly request: StoredRequest | null;
  readonly raw: RawReply | null;
}

/** Makes the call's place, or finds what an earlier attempt has kept there; other attempts wait for our transaction. */
export async function claim({ tx, key }: RunScope, call: KeptCall): Promise<ClaimedCall> {
  const row = await claimCall(tx, call);
  const opened = (part: 'request' | 'reply', value: Buffer | null): unknown =>
    value === null ? null : decryptCallPart(key, contextOfCall(tx.userId, call, part), value);
  const request = storedRequestSchema.safeParse(opened('request', row.request));
  const raw = rawReplySchema.safeParse(opened('reply', row.reply));
  return { request: request.data ?? null, raw: raw.data ?? null };
}

export const newIdempotencyKey = (): string => randomUUID();

/** Keeps the request, in the transaction that prepares the call: nothing is sent that is not kept. */
export function keepRequest({ tx, key }: RunScope, call: KeptCall, request: StoredRequest): void {
  storeRequest(tx, call, encryptCallPart(key, contextOfCall(tx.userId, call, 'request'), request));
}

/** What a part of a call is encrypted with. */
export const contextOfCall = (
  userId: UserId,
  call: CallRef & Pick<KeptCall, 'missionId'>,
  part: 'request' | 'reply',
): CallPartContext => ({
  userId,
  missionId: call.missionId,
  iterationId: call.iterationId,
  ...{ round: call.round, purpose: call.purpose, part },
});
