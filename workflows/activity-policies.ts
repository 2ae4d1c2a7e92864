import {
  proxyActivities,
  proxyLocalActivities,
  type ActivityInterfaceFor,
  type ActivityOptions,
} from '@temporalio/workflow';
import { VAULT_TASK_QUEUE } from '#temporal/messages.ts';
import type { RunnerActivities } from '#activities/runner/activities.ts';
import type { VaultActivities } from '#activities/vault/activities.ts';
import type { UserId } from '#domain/base/ids.ts';
import { fairnessKeyOf } from '#domain/run/fairness.ts';

/** Short database work: a marker in the history instead of three events (docs/architecture.md section 6). */
export const database = proxyLocalActivities<RunnerActivities>({
  startToCloseTimeout: '30 seconds',
  retry: {
    initialInterval: '500 milliseconds',
    maximumInterval: '30 seconds',
    // What takes longer is done by an activity whose attempts the server counts and shows: `patient`, or for a busy agent
    // one that waits as long as that may take.
    maximumAttempts: 5,
    nonRetryableErrorTypes: ['SLOT_BUSY'],
  },
});

/** Outlasts an hour without the database; after that the run cannot even say that it failed. */
const PATIENT_POLICY = {
  startToCloseTimeout: '1 minute',
  scheduleToCloseTimeout: '2 hours',
  retry: {
    initialInterval: '5 seconds',
    maximumInterval: '1 minute',
    nonRetryableErrorTypes: ['SLOT_BUSY'],
  },
} satisfies ActivityOptions;

/** Of activities that heartbeat: a killed worker costs them the heartbeat timeout, not their own. */
const POLICIES = {
  /** An hour's brownout of the gateway must not cost the run; its own delays come with each failure. */
  planner: {
    startToCloseTimeout: '10 minutes',
    scheduleToCloseTimeout: '2 hours',
    retry: { initialInterval: '1 second', maximumInterval: '5 minutes' },
  },
  /** Compacting saves tokens; where it does not come about soon, the rounds go on with the whole conversation. */
  compactor: {
    // As long as a round: what one call may take is a setting.
    startToCloseTimeout: '10 minutes',
    retry: { initialInterval: '5 seconds', maximumAttempts: 3 },
  },
  researcher: {
    startToCloseTimeout: '3 minutes',
    retry: { initialInterval: '2 seconds', maximumAttempts: 3 },
  },
  /** A deep task takes up to an hour (docs/platform.md section 11): the server counts the attempts, and none of them is an event. */
  researchWaiter: {
    startToCloseTimeout: '1 minute',
    scheduleToCloseTimeout: '65 minutes',
    retry: { initialInterval: '10 seconds', backoffCoefficient: 1.5, maximumInterval: '1 minute' },
  },
} satisfies Readonly<Record<string, ActivityOptions>>;

const VAULT_POLICY = {
  taskQueue: VAULT_TASK_QUEUE,
  startToCloseTimeout: '2 minutes',
  scheduleToCloseTimeout: '2 hours',
  // What is sealed after the run has forgotten would stay: a cancelled run waits until sealing has ended.
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
  retry: { initialInterval: '1 second', maximumInterval: '1 minute' },
} satisfies ActivityOptions;

/** Of runs that were loaded before it was a setting. */
const HEARTBEAT_TIMEOUT_MS = 10_000;

/**
 * The activities of a user's run, each kind under its own policy. Users take turns in the queues; a schedule's action has no
 * priority, so the activities carry it (docs/architecture.md section 5).
 */
export function activitiesOf(userId: UserId, heartbeatTimeout = HEARTBEAT_TIMEOUT_MS) {
  const inTurn = { priority: { fairnessKey: fairnessKeyOf(userId) } };
  const beating = { ...inTurn, heartbeatTimeout };
  const runner = (policy: keyof typeof POLICIES): ActivityInterfaceFor<RunnerActivities> =>
    proxyActivities<RunnerActivities>({ ...beating, ...POLICIES[policy] });
  return {
    patient: proxyActivities<RunnerActivities>({ ...inTurn, ...PATIENT_POLICY }),
    planner: runner('planner'),
    compactor: runner('compactor'),
    researcher: runner('researcher'),
    researchWaiter: runner('researchWaiter'),
    vault: proxyActivities<VaultActivities>({ ...beating, ...VAULT_POLICY }),
    /** Waits for a place of a busy agent. */
    waitingFor: (longestWaitMs: number): RunnerActivities =>
      proxyActivities<RunnerActivities>({
        ...inTurn,
        startToCloseTimeout: '30 seconds',
        scheduleToCloseTimeout: longestWaitMs,
        retry: { initialInterval: '5 seconds', maximumInterval: '1 minute' },
      }),
  };
}

export type RunActivities = ReturnType<typeof activitiesOf>;
