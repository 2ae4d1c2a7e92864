import { randomUUID } from 'node:crypto';
import type { Stack } from '#dev/stack.ts';
import { agentAt, missionAt, requestGrant, type WebAppUser } from '#dev/web-app.ts';
import { iterationsOf } from './figures.ts';
import type { DemoData, DemoMission } from './missions.ts';
import { TOUR, type TourMission, type TourRecord } from './tour-missions.ts';
import { formatInstant } from '#domain/base/instant.ts';
import { RUNNER_CLIENT_ID } from '#domain/wire/rows.ts';
import { noticeText } from '#domain/planner/plan/user-texts.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Long enough for all grants, records and schedules to be there before the instant. */
const DUE_IN_MS = 6_000;

/** Acts as the web app: writes the records, asks for the grants, then writes the missions, all due at one instant. */
export async function createTourMissions(stack: Stack, say: (line: string) => void): Promise<DemoData> {
  const user = await stack.webApp.createUser();
  const token = await stack.issuer.issueToken({ sub: user.userId });
  const nextRunAt = formatInstant(Date.now() + DUE_IN_MS);
  const missions = [];
  for (const mission of TOUR) {
    const missionId = randomUUID();
    await writeRecords(stack, user, mission);
    const grant = mission.granted
      ? await requestGrant(stack.apiUrl, token, { missionId, ...scopeOf(mission), timeZone: 'Europe/Berlin' })
      : null;
    await stack.webApp.insert(user, missionAt(missionId), { ...recordOf(user, mission, nextRunAt), grant });
    missions.push({ label: mission.title, missionId });
  }
  say(`${missions.length} missions written to the change log, due at ${nextRunAt}`);
  return { user, missions, plaintexts: [], ungranted: [] };
}

async function writeRecords({ webApp }: Stack, user: WebAppUser, mission: TourMission): Promise<void> {
  const { agent } = mission;
  if (agent !== undefined)
    await webApp.insert(user, agentAt(agent.id), { ...encrypted(user, agent.secret), ...agent.plain });
  for (const record of mission.records) {
    await webApp.insert(user, record, { ...encrypted(user, record.secret), ...record.plain });
    const timeBlockId = record.plain?.['timeBlockId'];
    if (typeof timeBlockId === 'string') await writeTimeBlock({ webApp }, user, timeBlockId);
  }
}

/** Where the web app keeps the times of an event, in clear (docs/platform.md section 2). */
async function writeTimeBlock(
  { webApp }: Pick<Stack, 'webApp'>,
  user: WebAppUser,
  id: string,
): Promise<void> {
  const start = new Date();
  start.setUTCHours(10, 0, 0, 0);
  await webApp.insert(
    user,
    { appId: 'timeblocks', table: 'timeBlocks', id },
    {
      startDate: start.toISOString(),
      endDate: new Date(start.getTime() + 3_600_000).toISOString(),
      allDay: false,
    },
  );
}

const encrypted = (user: WebAppUser, fields: Fields = {}): Fields =>
  Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, user.encrypt(value)]));

/** Missions without a grant stay in clear, as today's web app writes them. */
function recordOf(user: WebAppUser, mission: TourMission, nextRunAt: string): Fields {
  const words = { title: mission.title, objective: mission.objective };
  return {
    ...(mission.granted ? encrypted(user, words) : words),
    conceptMarkdown: '',
    state: 'active',
    cadence: mission.cadence,
    nextRunAt,
    inputs: [...mission.records, ...(mission.missingInputs ?? [])].map(({ module, table, id }) => ({
      module,
      table,
      id,
    })),
    iterations: [],
    ...(mission.agent === undefined ? {} : { agentId: mission.agent.id }),
  };
}

function scopeOf(mission: TourMission): { readonly tables: string[]; readonly recordIds: string[] } {
  const granted = mission.records.filter(({ id }) => mission.ungranted?.includes(id) !== true);
  const agent = mission.agent === undefined ? [] : [`agents:${mission.agent.id}`];
  const recordIds = [...granted.map((record: TourRecord) => `${record.table}:${record.id}`), ...agent];
  return { tables: [...new Set(recordIds.map((id) => id.split(':')[0] ?? ''))], recordIds };
}

/** The user's device: what is to be cancelled is marked in the very iteration that the log shows as running. */
export async function cancelWhereWanted(
  { webApp }: Stack,
  { user, missions }: DemoData,
  mission: DemoMission,
  iteration: Fields,
  say: (line: string) => void,
): Promise<void> {
  if (TOUR[missions.indexOf(mission)]?.cancelledOnDevice !== true) return;
  await webApp.update(user, missionAt(mission.missionId), {
    iterations: [{ ...iteration, cancelRequested: true }],
  });
  say(`cancelled on the device: ${mission.label}`);
}

/** What the tour counted, in the change log. */
export interface TourReport {
  readonly missions: number;
  readonly iterations: number;
  readonly failedIterations: number;
  readonly steps: number;
  /** Steps that no device carries out. */
  readonly stagedSteps: number;
  /** Missions of which a row said that they run before another one said what the run came to. */
  readonly claimedRuns: number;
  /** Iterations whose notice says that a later round did not come about. */
  readonly partialPlans: number;
  /** Failed iterations whose run was cancelled. */
  readonly cancelledRuns: number;
}

interface PrintedStep {
  readonly summary: string;
  readonly status: string;
}

/** Prints each mission's claim and plan, with what its user's devices make of them. */
export async function printTour(stack: Stack, data: DemoData): Promise<TourReport> {
  const iterations: Fields[] = [];
  let claimedRuns = 0;
  for (const [index, { label, missionId }] of data.missions.entries()) {
    console.log(`\n${index + 1}. ${label} — ${TOUR[index]?.shows ?? ''}`);
    const claim = await claimOf(stack, data, missionId);
    if (claim !== null) {
      claimedRuns += 1;
      console.log(`   [running] ${claim}`);
    }
    for (const iteration of await iterationsOf(stack, data, missionId)) {
      iterations.push(iteration);
      console.log(`   [${String(iteration['overallStatus'])}] ${indented(String(iteration['summary']))}`);
      for (const { summary, status } of stepsOf(iteration))
        console.log(`   - ${status === 'staged' ? '[staged: no device runs it] ' : ''}${summary}`);
    }
  }
  console.log('');
  const steps = iterations.flatMap(stepsOf);
  const failed = iterations.filter((iteration) => iteration['overallStatus'] === 'failed');
  return {
    missions: data.missions.length,
    iterations: iterations.length,
    failedIterations: failed.length,
    steps: steps.length,
    stagedSteps: steps.filter(({ status }) => status === 'staged').length,
    claimedRuns,
    partialPlans: iterations.filter(isPartial).length,
    cancelledRuns: failed.filter(({ errorDetails }) => isCancellation(errorDetails)).length,
  };
}

const stepsOf = ({ plan }: Fields): PrintedStep[] => (Array.isArray(plan) ? (plan as PrintedStep[]) : []);

/** When the first row of the run began to show it as running; the iteration that ends it has replaced that by now. */
async function claimOf({ webApp }: Stack, { user }: DemoData, missionId: string): Promise<string | null> {
  const rows = await webApp.rows(user, missionAt(missionId));
  const [first] = rows.filter(({ clientId }) => clientId === RUNNER_CLIENT_ID);
  const { iterations = [], nextRunAt } = (first?.data ?? {}) as {
    readonly iterations?: readonly Fields[];
    readonly nextRunAt?: unknown;
  };
  const running = iterations.find(({ overallStatus }) => overallStatus === 'running');
  if (running === undefined) return null;
  const next = typeof nextRunAt === 'string' ? `next run ${nextRunAt}` : 'no next run';
  return `claimed ${String(running['phaseStartedAt'])}, ${next}`;
}

const isPartial = ({ summary }: Fields): boolean =>
  (['de', 'en'] as const).some((language) =>
    String(summary).includes(noticeText(language, { kind: 'cut-short', code: '' })),
  );

const isCancellation = (details: unknown): boolean =>
  (details as { readonly name?: unknown } | undefined)?.name === 'run-cancelled';

const indented = (text: string): string => text.replaceAll('\n', '\n     ').replace(/\n\s+\n/g, '\n');
