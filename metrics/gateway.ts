import { Counter, Gauge, Histogram } from 'prom-client';
import { registry } from './registry.ts';
import { REPLY_FLAWS, type ReplyFlaw } from '#domain/planner/plan/reply-flaw.ts';

/** `refused`: the gateway said no to this request; `failed`: no answer, or one that says try again. */
export type CallOutcome = 'answered' | 'refused' | 'failed' | 'aborted';

const calls = new Histogram({
  name: 'mana_llm_call_duration_seconds',
  help: 'Calls of the LLM gateway that were sent, by how they ended.',
  labelNames: ['outcome'],
  buckets: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 120, 300, 600],
  registers: [registry],
});

export const observeCall = (outcome: CallOutcome, durationMs: number): void =>
  calls.observe({ outcome }, durationMs / 1_000);

const limit = new Gauge({
  name: 'mana_llm_calls_limit',
  help: 'How many calls of the LLM gateway this process makes at a time, as the gateway bears them.',
  registers: [registry],
});
const heldBack = new Counter({
  name: 'mana_llm_calls_held_back_total',
  help: 'Calls that were not sent, because the gateway had said that it is overloaded; their runs come back.',
  registers: [registry],
});

export const reportLimit = (calls: number): void => limit.set(calls);
export const countHeldBack = (): void => heldBack.inc();

const flawed = new Counter({
  name: 'mana_llm_flawed_replies_total',
  help: 'Replies of the model that planned nothing and said nothing, by what was wrong with them.',
  labelNames: ['flaw'],
  registers: [registry],
});

// A series that appears with its first event hides that event from `increase()`.
for (const flaw of REPLY_FLAWS) flawed.inc({ flaw }, 0);

export const countFlaw = (flaw: ReplyFlaw): void => flawed.inc({ flaw });

/** `unknown`: an estimate, of calls whose reply was lost or that the gateway gave no figure for. */
const TOKEN_PURPOSES = ['plan', 'compact', 'unknown'] as const;
export type TokenPurpose = (typeof TOKEN_PURPOSES)[number];

const tokens = new Counter({
  name: 'mana_llm_tokens_total',
  help: 'Tokens of the model, by what they were spent on; unknown = estimated, the reply was lost.',
  labelNames: ['purpose'],
  registers: [registry],
});

for (const purpose of TOKEN_PURPOSES) tokens.inc({ purpose }, 0);

export const countTokens = (purpose: TokenPurpose, count: number): void => tokens.inc({ purpose }, count);
