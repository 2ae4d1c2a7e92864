import { Counter } from 'prom-client';
import { registry } from './registry.ts';

const lostAttempts = new Counter({
  name: 'mana_activity_attempts_lost_total',
  help: 'Attempts whose worker died or went silent, counted by the attempt after them, by activity.',
  labelNames: ['activity'],
  registers: [registry],
});
const stalls = new Counter({
  name: 'mana_event_loop_stalls_total',
  help: 'Stalls of the event loop of more than a second.',
  registers: [registry],
});

/** @param activity its type: one of our own names */
export const countLostAttempt = (activity: string): void => lostAttempts.inc({ activity });

export const countStall = (): void => stalls.inc();
