export { healIterations } from './heal-iterations.ts';
export { missionRun } from './mission-run.ts';
export { projectionFollow } from './projection-follow.ts';
export { sweepRuns } from './sweep-runs.ts';
