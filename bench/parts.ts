import { withPostgres, type BenchPostgres } from './servers.ts';
import type { Findings, PartOptions } from './results/result.ts';

type Part = (options: PartOptions) => Promise<Findings>;

const onPostgres =
  (
    measure: (postgres: BenchPostgres, size: number) => Promise<Findings>,
    full: number,
    small: number,
  ): Part =>
  ({ isSmall }) =>
    withPostgres((postgres) => measure(postgres, isSmall ? small : full));

/** Each loads what it measures in a process of its own, in this order. */
const PARTS = {
  missions: async () => (await import('./missions.ts')).benchMissions,
  'in-flight': async () => (await import('./in-flight.ts')).benchInFlight,
  settings: async () => (await import('./settings.ts')).benchSettings,
  growth: async () => (await import('./growth.ts')).benchGrowth,
  grants: async () => (await import('./grants.ts')).benchGrants,
  api: async () => (await import('./api.ts')).benchApi,
  planner: async () => (await import('./planner.ts')).benchPlanner,
  'initial-build': async () =>
    onPostgres((await import('./projection/initial-build.ts')).benchInitialBuild, 100_000, 500),
  schedules: async () =>
    onPostgres((await import('./projection/real-schedules.ts')).benchRealSchedules, 2_000, 40),
  'row-to-schedule': async () => onPostgres((await import('./projection/lag.ts')).benchLag, 300, 10),
  'pass-time': async () => {
    const { benchPassTime, FULL, SMALL } = await import('./projection/pass-time.ts');
    return ({ isSmall }: PartOptions) =>
      withPostgres((postgres) => benchPassTime(postgres, isSmall ? SMALL : FULL));
  },
  'late-seen': async () => onPostgres((await import('./projection/late-seen.ts')).benchLateSeen, 300, 20),
  bursts: async () => {
    const { benchDueLag } = await import('./projection/due-lag.ts');
    return ({ isSmall }: PartOptions) => benchDueLag(isSmall ? 20 : 1_000);
  },
  fairness: async () => (await import('./fairness.ts')).benchFairness,
  idle: async () => (await import('./idle.ts')).benchIdle,
} as const satisfies Readonly<Record<string, () => Promise<Part>>>;

export type PartName = keyof typeof PARTS;
export const PART_NAMES = Object.keys(PARTS) as readonly PartName[];

export const isPart = (name: string): name is PartName => Object.hasOwn(PARTS, name);

export const loadPart = (name: PartName): Promise<Part> => PARTS[name]();
