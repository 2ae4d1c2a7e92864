export { healIterations } from './heal-iterations.ts';
export { missionRun } from './mission-run.ts';
export { projectionFollow } from './projection-follow.ts';
export { projectionPass } from './projection-pass.ts';
export { reconcileSchedules } from './reconcile-schedules.ts';
export { sweepRuns } from './sweep-runs.ts';
