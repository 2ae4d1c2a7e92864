import { Counter, Histogram } from 'prom-client';
import { registry } from './registry.ts';
import { FAILURE_CODES } from '#domain/wire/iteration.ts';
import type { RunEnded } from '#domain/run/run-report.ts';
import { STUCK, type WriteIterationResult } from '#domain/run/run.ts';

const written = new Counter({
  name: 'mana_run_outcomes_total',
  help: 'Outcomes of runs as they were written for their users; reason is the code that a failed iteration tells, else none.',
  labelNames: ['outcome', 'reason'],
  registers: [registry],
});
const durations = new Histogram({
  name: 'mana_run_duration_seconds',
  help: 'Runs from their start to their end, waiting for workers included, by outcome.',
  labelNames: ['outcome'],
  buckets: [1, 2.5, 5, 10, 20, 40, 60, 120, 300, 600, 1_800, 3_600, 7_200],
  registers: [registry],
});
const phases = new Histogram({
  name: 'mana_run_phase_duration_seconds',
  help: 'What a run spent in each phase; waits in queues and attempts that failed count.',
  labelNames: ['phase'],
  buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 120, 300, 600, 1_800, 7_200],
  registers: [registry],
});
const startLags = new Histogram({
  name: 'mana_run_start_lag_seconds',
  help: 'From the instant that a mission was due until its run had passed the gates: jitter, workers that were busy or away, and a busy agent count.',
  buckets: [1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 14_400, 86_400],
  registers: [registry],
});
const agentWaits = new Histogram({
  name: 'mana_agent_slot_wait_seconds',
  help: 'How long runs waited for a place of their busy agent before they could begin.',
  buckets: [1, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 14_400, 86_400],
  registers: [registry],
});
const rounds = new Histogram({
  name: 'mana_run_round_duration_seconds',
  help: 'Rounds with the model, prompt to plan, each attempt by itself, also those that failed.',
  buckets: [0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 120, 300, 600],
  registers: [registry],
});

// A series that appears with its first event hides that event from `increase()`.
for (const outcome of ['planned', 'empty-plan', 'advanced', 'stopped', 'mission-gone'] as const)
  written.inc({ outcome, reason: 'none' }, 0);
for (const reason of FAILURE_CODES) written.inc({ outcome: 'failed', reason }, 0);
// Nothing was written of these, so they are counted here alone.
durations.zero({ outcome: STUCK });

/** Once for each outcome that was written; both labels are words of ours. */
export const countOutcome = ({ outcome, failureCode }: WriteIterationResult): void =>
  written.inc({ outcome, reason: failureCode ?? 'none' });

export function observeRun({ outcome, durationMs, phaseMs }: RunEnded): void {
  durations.observe({ outcome }, seconds(durationMs));
  for (const [phase, ms] of Object.entries(phaseMs)) phases.observe({ phase }, seconds(ms));
}

export const observeStartLag = (lagMs: number): void => startLags.observe(seconds(lagMs));
export const observeAgentWait = (waitedMs: number): void => agentWaits.observe(seconds(waitedMs));
export const observeRound = (durationMs: number): void => rounds.observe(seconds(durationMs));

/** Clocks of two machines may take part. */
const seconds = (ms: number): number => Math.max(0, ms) / 1_000;
