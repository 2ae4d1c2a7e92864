import { Counter } from 'prom-client';
import { registry } from './registry.ts';
import type { WriteIterationResult } from '#domain/run/run.ts';

const written = new Counter({
  name: 'mana_run_outcomes_total',
  help: 'Outcomes of runs as they were written for their users; reason is the code that a failed iteration tells, else none.',
  labelNames: ['outcome', 'reason'],
  registers: [registry],
});

// A series that appears with its first event hides that event from `increase()`.
for (const outcome of ['planned', 'empty-plan', 'advanced', 'stopped', 'mission-gone'] as const)
  written.inc({ outcome, reason: 'none' }, 0);

/** Once for each outcome that was written; both labels are words of ours. */
export const countOutcome = ({ outcome, failureCode }: WriteIterationResult): void =>
  written.inc({ outcome, reason: failureCode ?? 'none' });
