import { Counter } from 'prom-client';
import { registry } from './registry.ts';
import { INJECTION_MARKS } from '#domain/planner/injection/injection-codes.ts';
import { STEP_FLAGS } from '#domain/planner/plan/step-review.ts';

const marks = new Counter({
  name: 'mana_injection_marks_total',
  help: 'Marks of injected instructions in written iterations, by mark and by where it was found.',
  labelNames: ['found_in', 'mark'],
  registers: [registry],
});
const dropped = new Counter({
  name: 'mana_injection_steps_dropped_total',
  help: 'Steps that POLICY_MODE=enforce kept out of written plans.',
  registers: [registry],
});

const KNOWN: readonly string[] = [...INJECTION_MARKS, ...STEP_FLAGS];
for (const mark of INJECTION_MARKS) marks.inc({ found_in: 'input', mark }, 0);
for (const mark of KNOWN) marks.inc({ found_in: 'step', mark }, 0);

/** Counts what one written iteration bears; codes only. */
export function countInjectionMarks(found: {
  readonly inputs: readonly string[];
  readonly steps: readonly string[];
  readonly droppedSteps: number;
}): void {
  for (const mark of found.inputs.filter((code) => KNOWN.includes(code)))
    marks.inc({ found_in: 'input', mark });
  for (const mark of found.steps.filter((code) => KNOWN.includes(code)))
    marks.inc({ found_in: 'step', mark });
  dropped.inc(found.droppedSteps);
}
