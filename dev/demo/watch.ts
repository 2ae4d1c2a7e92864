import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import type { Stack } from '#dev/stack.ts';
import { iterationsOf } from './figures.ts';
import type { DemoData, DemoMission } from './missions.ts';
import { runProgressQuery } from '#temporal/messages.ts';

const SCRIPTED_DEADLINE_MS = 60_000;
const LOOK_EVERY_MS = 150;

type Fields = Readonly<Record<string, unknown>>;

/**
 * Tells what happens, as it happens, until every mission has an iteration that has ended and every run is closed.
 *
 * @param onClaim gets each iteration that the log shows as running: what a device would see
 * @param deadlineMs a minute unless given: no scripted model takes longer
 * @throws Error after that time
 */
export async function watchMissions(
  stack: Stack,
  data: DemoData,
  say: (line: string) => void,
  onClaim: (mission: DemoMission, iteration: Fields) => Promise<void> = () => Promise.resolve(),
  deadlineMs: number = SCRIPTED_DEADLINE_MS,
): Promise<void> {
  const told = new Set<string>();
  const tellOnce = (line: string): boolean => {
    if (told.has(line)) return false;
    told.add(line);
    say(line);
    return true;
  };
  const deadline = Date.now() + deadlineMs;
  for (;;) {
    await tellSchedules(stack.client, data, tellOnce);
    const open = await tellRuns(stack.client, data, tellOnce);
    const written = await Promise.all(
      data.missions.map((mission) => tellIteration(stack, data, mission, tellOnce, onClaim)),
    );
    if (written.every(Boolean) && open === 0) return;
    if (Date.now() > deadline)
      throw new Error(`not every mission had its iteration after ${deadlineMs / 1000} s`);
    await delay(LOOK_EVERY_MS);
  }
}

const labelOf = (data: DemoData, text: string): string | null =>
  data.missions.find(({ missionId }) => text.includes(missionId))?.label ?? null;

async function tellSchedules(client: Client, data: DemoData, tell: (line: string) => void): Promise<void> {
  for await (const { scheduleId } of client.schedule.list()) {
    const label = labelOf(data, scheduleId);
    if (label !== null) tell(`schedule appeared: ${label}`);
  }
}

/** @returns how many runs are open */
async function tellRuns(client: Client, data: DemoData, tell: (line: string) => void): Promise<number> {
  let open = 0;
  for await (const { workflowId, runId, status } of client.workflow.list({
    query: `WorkflowType = 'missionRun'`,
  })) {
    const label = labelOf(data, workflowId);
    if (label === null) continue;
    tell(`run started: ${label}`);
    if (status.name !== 'RUNNING') continue;
    open += 1;
    try {
      const progress = await client.workflow.getHandle(workflowId, runId).query(runProgressQuery);
      tell(`  ${label}: ${progress.phase}${progress.round === 0 ? '' : `, round ${progress.round}`}`);
    } catch {
      // It ended between the list and the query.
    }
  }
  return open;
}

async function tellIteration(
  stack: Stack,
  data: DemoData,
  mission: DemoMission,
  tell: (line: string) => boolean,
  onClaim: (mission: DemoMission, iteration: Fields) => Promise<void>,
): Promise<boolean> {
  const [iteration] = await iterationsOf(stack, data, mission.missionId);
  if (iteration === undefined) return false;
  if (iteration['overallStatus'] === 'running') {
    if (tell(`instant claimed: ${mission.label} → running, for all devices to see`))
      await onClaim(mission, iteration);
    return false;
  }
  tell(`iteration written: ${mission.label} → ${String(iteration['overallStatus'])}`);
  return true;
}
