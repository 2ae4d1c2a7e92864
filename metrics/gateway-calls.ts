import { Histogram } from 'prom-client';
import { registry } from './registry.ts';

/** `refused`: the gateway said no to this request; `failed`: no answer, or one that says try again. */
export const CALL_OUTCOMES = ['answered', 'refused', 'failed', 'aborted'] as const;
export type CallOutcome = (typeof CALL_OUTCOMES)[number];

const calls = new Histogram({
  name: 'mana_llm_call_duration_seconds',
  help: 'Calls of the LLM gateway that were sent, by how they ended.',
  labelNames: ['outcome'],
  buckets: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 120, 300, 600],
  registers: [registry],
});

export const observeCall = (outcome: CallOutcome, durationMs: number): void =>
  calls.observe({ outcome }, durationMs / 1_000);
