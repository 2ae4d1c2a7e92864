import { randomUUID } from 'node:crypto';
import type { Stack } from '../stack.ts';
import { agentAt, missionAt, requestGrant } from '../web-app.ts';
import type { WebAppUser } from '../web-app.ts';
import { iterationsOf } from './figures.ts';
import type { DemoData } from './missions.ts';
import { TOUR } from './tour-missions.ts';
import type { TourMission, TourRecord } from './tour-missions.ts';
import { formatInstant } from '../../domain/instant.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Long enough for ten grants, records and schedules to be there before the instant. */
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
  say(`ten missions written to the change log, due at ${nextRunAt}`);
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

/** Where the web app keeps the times of an event, in clear (contract section 2). */
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

/** What the tour counted. */
export interface TourReport {
  readonly missions: number;
  readonly iterations: number;
  readonly failedIterations: number;
  readonly steps: number;
}

interface PrintedStep {
  readonly summary: string;
  readonly status: string;
}

/** Prints each mission's plan as its user will see it. */
export async function printTour(stack: Stack, data: DemoData): Promise<TourReport> {
  let [iterations, failedIterations, steps] = [0, 0, 0];
  for (const [index, { label, missionId }] of data.missions.entries()) {
    console.log(`\n${index + 1}. ${label} — ${TOUR[index]?.shows ?? ''}`);
    for (const iteration of await iterationsOf(stack, data, missionId)) {
      const plan = Array.isArray(iteration['plan']) ? (iteration['plan'] as PrintedStep[]) : [];
      iterations += 1;
      steps += plan.length;
      if (iteration['overallStatus'] === 'failed') failedIterations += 1;
      console.log(`   [${String(iteration['overallStatus'])}] ${indented(String(iteration['summary']))}`);
      for (const { summary, status } of plan)
        console.log(`   - ${status === 'staged' ? '[staged: no device runs it] ' : ''}${summary}`);
    }
  }
  console.log('');
  return { missions: data.missions.length, iterations, failedIterations, steps };
}

const indented = (text: string): string => text.replaceAll('\n', '\n     ').replace(/\n\s+\n/g, '\n');
