import { brokenChains, openedWithoutAudit, usesWithoutGrant } from './audit.ts';
import type { Facts } from './facts.ts';
import { derivedId, iterationsIn, missionsOf, type Fields, type MissionSeen } from './missions.ts';
import { paymentsOf, roundsOf } from './rounds.ts';

/** What was counted, and what of it breaks a promise, in words. Nobody's text stands in either. */
export interface Report {
  readonly counts: Readonly<Record<string, number>>;
  readonly violations: readonly string[];
}

export interface Allowed {
  /** When a process, a server or a connection was ended or disturbed: a round that was in flight then may be paid again. */
  readonly faultsAtMs: readonly number[];
  /** Between the look at a grant and the request that is made of it. */
  readonly graceMs: number;
}

/** Counts everything that docs/reliability.md promises, over a system at rest. */
export function check(facts: Facts, allowed: Allowed): Report {
  const missions = missionsOf(facts.missionRows, facts.runs, facts.checkedAtMs);
  const rounds = roundsOf(facts.asked);
  const iterations = new Map(missions.map(({ missionId, ended }) => [missionId, ended.length]));
  const { paidTwice, repaid, withoutFault } = paymentsOf(
    rounds,
    facts.usage,
    (missionId) => iterations.get(missionId) ?? 0,
    allowed.faultsAtMs,
  );
  const zero = {
    'instants without an iteration': missions.flatMap(lostIn),
    'iterations too many': missions.flatMap((mission) => tooManyIn(mission, facts)),
    'due times not advanced': missions.filter((mission) => isOverdue(mission, facts.checkedAtMs)).map(idOf),
    'completed rounds paid twice': paidTwice,
    'rounds repaid without a fault': withoutFault,
    'opened records without an earlier audit row': openedWithoutAudit(rounds, facts.audit),
    'broken rows of the audit': brokenChains(facts.audit),
    'uses of a grant after its end': usesWithoutGrant(rounds, facts.audit, facts.grants, allowed.graceMs),
    'failures without a reason': missions.flatMap(withoutReason),
    'iterations that run for ever': missions.filter(hasRunning).map(idOf),
    'runs under way': facts.runs.filter(({ isRunning }) => isRunning).map(({ workflowId }) => workflowId),
    ...Object.fromEntries(
      Object.entries(facts.leftovers).map(([table, count]) => [
        `rows left in ${table}`,
        Array<string>(count).fill(table),
      ]),
    ),
    'schedules that differ from active missions': scheduleDifferences(missions, facts.scheduledMissions),
    'places with plaintext': [...facts.markedPlaces],
  };
  const violations = Object.entries(zero).flatMap(([name, found]) => found.map((what) => `${name}: ${what}`));
  return {
    counts: {
      missions: missions.length,
      'due instants and runs asked for': missions.reduce((sum, { occasions }) => sum + occasions.length, 0),
      iterations: missions.reduce((sum, { ended }) => sum + ended.length, 0),
      'failed iterations': missions
        .flatMap(({ ended }) => ended)
        .filter(({ iteration }) => isFailed(iteration)).length,
      ...{
        requests: rounds.length,
        'audit rows': facts.audit.length,
        schedules: facts.scheduledMissions.length,
      },
      'rounds repaid': repaid.length,
      ...Object.fromEntries(Object.entries(zero).map(([name, found]) => [name, found.length])),
    },
    violations,
  };
}

const idOf = ({ missionId }: MissionSeen): string => missionId;

const lostIn = ({ missionId, occasions, ended }: MissionSeen): string[] =>
  occasions
    .filter((id) => !ended.some(({ iteration }) => iteration['id'] === id))
    .map((id) => `${missionId} ${id}`);

/** Each iteration belongs to an occasion, and stands first in the one row that is named after it. */
function tooManyIn({ missionId, occasions, ended }: MissionSeen, { missionRows }: Facts): string[] {
  const unknown = ended.filter(
    ({ iteration, rowId }) =>
      !occasions.includes(String(iteration['id'])) || rowId !== derivedId('event', String(iteration['id'])),
  );
  const names = missionRows.filter((row) => row.missionId === missionId).map(({ id }) => id);
  const doubled = ended.filter(({ rowId }) => names.filter((id) => id === rowId).length > 1);
  return [...unknown, ...doubled].map(({ iteration }) => `${missionId} ${String(iteration['id'])}`);
}

const isActive = ({ record }: MissionSeen): boolean =>
  record['state'] === 'active' && (record['deletedAt'] ?? null) === null && hasCadence(record['cadence']);

const hasCadence = (cadence: unknown): boolean =>
  typeof cadence === 'object' && cadence !== null && 'kind' in cadence && cadence.kind !== 'manual';

const isOverdue = (mission: MissionSeen, checkedAtMs: number): boolean =>
  isActive(mission) && !(Date.parse(String(mission.record['nextRunAt'])) > checkedAtMs);

const isFailed = ({ overallStatus }: Fields): boolean => overallStatus === 'failed';

const withoutReason = ({ missionId, ended }: MissionSeen): string[] =>
  ended
    .map(({ iteration }) => iteration)
    .filter((iteration) => isFailed(iteration) && !saysWhy(iteration))
    .map(({ id }) => `${missionId} ${String(id)}`);

function saysWhy({ summary, errorDetails }: Fields): boolean {
  const { name, message } = { name: undefined, message: undefined, ...(errorDetails as object | undefined) };
  return [summary, name, message].every((text) => typeof text === 'string' && text.trim() !== '');
}

const hasRunning = ({ record }: MissionSeen): boolean =>
  iterationsIn(record['iterations']).some(
    ({ source, overallStatus }) => source === 'server' && overallStatus === 'running',
  );

function scheduleDifferences(missions: readonly MissionSeen[], scheduled: readonly string[]): string[] {
  const active = missions.filter(isActive).map(idOf);
  const doubled = scheduled.filter((id, index) => scheduled.indexOf(id) !== index);
  return [
    ...active.filter((id) => !scheduled.includes(id)).map((id) => `${id} has none`),
    ...scheduled.filter((id) => !active.includes(id)).map((id) => `${id} has one`),
    ...doubled.map((id) => `${id} has two`),
  ];
}
