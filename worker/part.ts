import type { Client } from '@temporalio/client';
import type { DataConverter } from '@temporalio/common';
import type { NativeConnection, Worker } from '@temporalio/worker';
import type { Logger } from 'pino';
import type { Config } from '#config.ts';
import type { Check } from '#health/readiness.ts';
import type { NamespaceClients } from '#temporal/namespaces.ts';

/** What the parts of a worker process share. */
export interface WorkerContext {
  readonly connection: NativeConnection;
  /** Of the namespace whose tasks the process takes. */
  readonly client: Client;
  readonly namespace: string;
  /** Of all namespaces of the service. */
  readonly clients: NamespaceClients;
  readonly codecKeys: Config['codecKeys'];
  /** Of workers: refuses what no codec key encrypted, unless the operator lets it pass. */
  readonly dataConverter: DataConverter;
  /** A bundle made ahead, or null to bundle at start. */
  readonly workflowBundlePath: string | null;
  /** Which version of the deployment the worker is; null: of none. */
  readonly buildId: string | null;
  readonly logger: Logger;
}

/** One Temporal worker and what it works with. */
export interface WorkerPart {
  readonly name: 'runner' | 'vault' | 'projection';
  readonly worker: Worker;
  /** Work to do once all workers of the process poll, and what is kept up from then until `close`; to be called once. */
  readonly onceRunning: () => Promise<void>;
  /** What `GET /ready` asks. */
  readonly checks: Readonly<Record<string, Check>>;
  readonly close: () => Promise<void>;
}

/**
 * How often the SDK tells the server that an activity lives, and hears that it was cancelled; what is told in between waits. By itself
 * it would let four fifths of the timeout pass, and a server that hesitates for the rest would have every call of the model asked again.
 */
export const HEARTBEAT_INTERVAL = '10s';
