import type { KeyObject } from 'node:crypto';
import type { Database } from '../../db/client.ts';
import type { Gateway } from '../../llm/gateway.ts';

/** What the runner's activities work with; made once in `worker.ts`. */
export interface RunnerDependencies {
  readonly database: Database;
  /** Private keys that grants may be wrapped under; empty = grants are not configured. */
  readonly privateKeys: readonly KeyObject[];
  /** The payload codec's keys; the primary one wraps the run keys of missions without a grant. */
  readonly codecKeys: { readonly primaryKeyId: string; readonly keys: ReadonlyMap<string, Buffer> };
  readonly gateway: Gateway;
  /** Alias or `provider/model` (contract section 10). */
  readonly llmModel: string;
  /** Asks Temporal whether an execution is still open; an unknown one is not. */
  readonly isRunOpen: (workflowId: string, runId: string) => Promise<boolean>;
  /** A number in [0, 1) for jitter. */
  readonly random: () => number;
}
