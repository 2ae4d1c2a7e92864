import type { KeyObject } from 'node:crypto';
import type { Database } from '#db/client.ts';
import type { PlannerSettings } from '#domain/planner/plan/planner-settings.ts';
import type { TokenCalibration } from '#domain/planner/model/token-calibration.ts';
import type { Gateway } from '#llm/gateway.ts';
import type { ResearchServices } from '#research/services.ts';

/** What the runner's activities work with; made once in `worker.ts`. */
export interface RunnerDependencies {
  readonly database: Database;
  /** Private keys that grants may be wrapped under; empty = grants are not configured. */
  readonly privateKeys: readonly KeyObject[];
  /** The payload codec's keys; the primary one wraps the run keys of missions without a grant. */
  readonly codecKeys: { readonly primaryKeyId: string; readonly keys: ReadonlyMap<string, Buffer> };
  readonly gateway: Gateway;
  readonly planner: PlannerSettings;
  /** What activities of a run may be silent for; whole milliseconds. */
  readonly heartbeatTimeoutMs: number;
  /** Of this process: what models were seen to count. */
  readonly calibration: TokenCalibration;
  readonly research: ResearchServices;
  /** An activity asks one round alone, because the queue's rate is that of rounds. */
  readonly oneRoundEach?: boolean;
  /** The worker takes no further work: a round that is begun now might be cut off. */
  readonly isStopping?: () => boolean;
  /** See `lastLook` in `activities/runner/round/last-look.ts`; whole milliseconds, a second where absent. */
  readonly looksAgainAfterMs?: number;
  /** Asks Temporal whether an execution is still open; an unknown one is not. */
  readonly isRunOpen: (workflowId: string, runId: string) => Promise<boolean>;
  /** A number in [0, 1) for jitter. */
  readonly random: () => number;
}
