import type { ProjectedMission } from '#db/mission-schedule.ts';
import type { PendingMission } from '#db/schedule-state.ts';
import type { SourcedTimeZone } from '#db/time-zones.ts';
import {
  allHolds,
  viewSchedule,
  type PauseReason,
  type ScheduleFacts,
} from '#domain/cadence/schedule-view.ts';
import type { PauseState } from '#schedules/schedule-update.ts';
import { fault, ok, warning, type Judgement } from '../finding.ts';

/** What is known of a mission besides its record. */
export interface MissionFacts {
  /** Null: the projection has seen no row of it. */
  readonly pending: PendingMission | null;
  /** Null: the user has no such mission (any more). */
  readonly projected: ProjectedMission | null;
  readonly zone: SourcedTimeZone;
  /** Null: Temporal has no schedule of it. */
  readonly pause: PauseState | null;
  readonly isSlotOpen: boolean;
}

/** Why it is, or is not, run by itself, as devices, projection and server decide it; every reason, not the first alone. */
export function scheduleReasons(facts: MissionFacts): Judgement[] {
  const { pending, projected } = facts;
  if (pending === null) {
    return [
      fault(
        'the projection has never seen a row of it',
        'check both ids; else see whether the projection follows the log (bin/yarn missions doctor)',
      ),
    ];
  }
  if (projected === null) {
    return [fault('deleted, or removed by another member of its space', 'nothing: it is gone')];
  }
  const schedule = scheduleFacts(facts, projected);
  return [
    ...holds(schedule, facts),
    ...whenItRuns(schedule, facts, pending),
    ...around(facts, pending, projected),
  ];
}

const scheduleFacts = ({ zone, pause }: MissionFacts, projected: ProjectedMission): ScheduleFacts => ({
  ...projected,
  timeZone: zone.timeZone,
  pausedByOperator: pause?.paused === true,
});

const HOLDS: Readonly<Record<PauseReason, readonly [string, string]>> = {
  'mission-paused': [
    'the mission is paused, or in a state that nobody knows',
    'its user resumes it in the app',
  ],
  'mission-done': ['the mission is done', 'its user makes it active again in the app'],
  'mission-archived': ['the mission is archived', 'its user makes it active again in the app'],
  'opted-out': ['its user took it out of the background', 'its user puts it back (PUT …/schedule)'],
  'agent-paused': ['its agent is paused', 'its user resumes the agent in the app'],
  'agent-archived': [
    'its agent is archived',
    'its user makes the agent active, or gives the mission another',
  ],
  operator: ['an operator paused its schedule', 'unpause it in the Temporal UI'],
  'no-cadence': ['it is manual, or nothing says when', 'its user sets a cadence, or runs it by hand'],
};
const hold = (reason: PauseReason, more = ''): Judgement =>
  fault(`${HOLDS[reason][0]}${more}`, HOLDS[reason][1]);

const holds = (schedule: ScheduleFacts, { pause }: MissionFacts): Judgement[] =>
  allHolds(schedule).map((reason) =>
    hold(reason, reason === 'operator' && pause?.note ? `: ${JSON.stringify(pause.note)}` : ''),
  );

function whenItRuns(schedule: ScheduleFacts, { zone }: MissionFacts, pending: PendingMission): Judgement[] {
  const nowMs = pending.nowMs();
  const { nextFiresMs, pausedReason } = viewSchedule(schedule, nowMs);
  if (pausedReason === 'no-cadence') return [hold('no-cadence')];
  const from = {
    mission: 'named for it',
    user: 'the one its user named last',
    inferred: 'inferred from devices',
  };
  const zoneText =
    zone.timeZone === null
      ? 'no time zone is known, so UTC'
      : `${zone.timeZone}, ${from[zone.source ?? 'mission']}`;
  if (pausedReason !== null) return [];
  const due =
    pending.nextRunAtMs !== null && pending.nextRunAtMs <= nowMs
      ? [`due since ${isoOf(pending.nextRunAtMs)}`]
      : [];
  return [{ about: 'next', ...ok(`${[...due, ...nextFiresMs.map(isoOf)].join(', ')} (${zoneText})`) }];
}

const isoOf = (ms: number): string => new Date(ms).toISOString();

/** What stands in the way although nobody holds it, and what is worth knowing. */
function around(
  { pause, isSlotOpen }: MissionFacts,
  pending: PendingMission,
  projected: ProjectedMission,
): Judgement[] {
  const judgements: Judgement[] = [];
  const { agentId, slot } = pending;
  if (pending.isStopped) {
    judgements.push(
      fault('an operator stopped the planning of all missions', 'bin/yarn missions resume-all'),
    );
  }
  if (agentId !== null && projected.agentState === null) {
    judgements.push(
      warning(
        `agent ${agentId} is missing: it runs as one without an agent, on its user's own budget`,
        'its user gives it another agent',
      ),
    );
  }
  if (pending.isPutAside) {
    judgements.push(
      fault(
        'put aside: three workers died of writing its outcome; its present instant is not started again',
        'see docs/operations.md, Runs that take their worker with them',
      ),
    );
  }
  if (pending.isOverLimit) {
    judgements.push(
      fault(
        'its user has as many schedules as one may have (docs/limits.md)',
        'its user pauses or deletes others',
      ),
    );
  }
  if (pending.isPending) {
    judgements.push(
      warning(
        'its schedule is pending: Temporal has not been told of its newest version',
        'if that lasts: is Temporal up, does the projection run (bin/yarn missions doctor)?',
      ),
    );
  } else if (pending.applied !== null && pause === null) {
    judgements.push(
      fault('its schedule is missing in Temporal, although it was written', 'bin/yarn missions reconcile'),
    );
  }
  if (slot !== null) {
    judgements.push(
      isSlotOpen
        ? ok(`busy: run ${slot.runId} is open (${slot.workflowId})`)
        : warning(
            `held by run ${slot.runId}, which has ended`,
            'the next run takes over; or bin/yarn missions sweep',
          ),
    );
  }
  return judgements;
}
