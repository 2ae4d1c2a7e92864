import { Counter } from 'prom-client';
import { registry } from './registry.ts';

/** Services of the platform that a run asks; `denied`: they accept no key of ours, which only an operator can mend. */
const OUTSIDE_SERVICES = ['gateway', 'research'] as const;
const OUTSIDE_FAILURES = ['denied', 'unavailable', 'rejected', 'window'] as const;

export interface OutsideFailure {
  readonly service: (typeof OUTSIDE_SERVICES)[number];
  readonly reason: (typeof OUTSIDE_FAILURES)[number];
}

const failures = new Counter({
  name: 'mana_outside_failures_total',
  help: 'Failed requests to the LLM gateway and to research; denied = no key of ours is accepted, window = the model reads less than it is set to: an operator has to act.',
  labelNames: ['service', 'reason'],
  registers: [registry],
});

// A series that appears with its first event hides that event from `increase()`.
for (const service of OUTSIDE_SERVICES)
  for (const reason of OUTSIDE_FAILURES) failures.inc({ service, reason }, 0);

export const countOutsideFailure = ({ service, reason }: OutsideFailure): void =>
  failures.inc({ service, reason });
