import { Counter } from 'prom-client';
import { registry } from './registry.ts';

/** Activities and stages whose attempts are counted: those that heartbeat, and the local ones that a run's slot counts. */
export const COUNTED_ACTIVITIES = [
  ...['planRound', 'compactTranscript', 'submitResearch', 'awaitResearch', 'healIterations', 'sweepRuns'],
  ...['sealInputs', 'followChangeLog', 'runProjectionPass', 'reconcileSchedules'],
] as const;
export const COUNTED_STAGES = ['loadRun', 'writeIteration', 'forgetRun'] as const;
export type CountedStageName = (typeof COUNTED_STAGES)[number];

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
for (const activity of [...COUNTED_ACTIVITIES, ...COUNTED_STAGES]) lostAttempts.inc({ activity }, 0);
for (const stage of ['writeIteration', 'forgetRun']) missionsPutAside.inc({ stage }, 0);
const stalls = new Counter({
  name: 'mana_event_loop_stalls_total',
  help: 'Stalls of the event loop of more than a second.',
  registers: [registry],
});

/** @param activity its type: one of those above */
export const countLostAttempt = (activity: string): void => lostAttempts.inc({ activity });

/** @param stage its name */
export const countMissionPutAside = (stage: string): void => missionsPutAside.inc({ stage });

export const countStall = (): void => stalls.inc();
