import { Counter } from 'prom-client';
import { registry } from './registry.ts';

const lostAttempts = new Counter({
  name: 'mana_activity_attempts_lost_total',
  help: 'Attempts whose worker died or went silent, counted by the attempt after them, by activity.',
  labelNames: ['activity'],
  registers: [registry],
});
const missionsPutAside = new Counter({
  name: 'mana_missions_put_aside_total',
  help: 'Missions about which nothing could be written because that ended the worker three times, by stage.',
  labelNames: ['stage'],
  registers: [registry],
});
// A series that appears with its first event hides that event from `increase()`.
for (const stage of ['writeIteration', 'forgetRun']) missionsPutAside.inc({ stage }, 0);
const stalls = new Counter({
  name: 'mana_event_loop_stalls_total',
  help: 'Stalls of the event loop of more than a second.',
  registers: [registry],
});

/** @param activity its type: one of our own names */
export const countLostAttempt = (activity: string): void => lostAttempts.inc({ activity });

/** @param stage its name */
export const countMissionPutAside = (stage: string): void => missionsPutAside.inc({ stage });

export const countStall = (): void => stalls.inc();
