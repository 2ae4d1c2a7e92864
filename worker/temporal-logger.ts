import { DefaultLogger } from '@temporalio/worker';
import type { Logger } from 'pino';

const LEVELS = { TRACE: 'trace', DEBUG: 'debug', INFO: 'info', WARN: 'warn', ERROR: 'error' } as const;

/** Fields that hold ids, counts, states or codes. The SDK logs others too, such as task tokens; they stay out. */
const FIELDS: ReadonlySet<string> = new Set([
  'sdkComponent',
  // Where in the SDK's core: its errors have no stack.
  'target',
  'taskQueue',
  'isLocal',
  'attempt',
  'namespace',
  'activityType',
  'workflowType',
  'workflowId',
  'runId',
  'workflowRunId',
  'state',
  'failureType',
  'phase',
  'lost',
  'nonRetryable',
  'error',
]);

/** Sends what the SDK and activities log to our log, whose serializers reduce errors to what cannot quote content. */
export const createTemporalLogger = (logger: Logger): DefaultLogger =>
  new DefaultLogger('INFO', ({ level, message, meta }) => {
    const fields = Object.entries(meta ?? {}).filter(([name]) => FIELDS.has(name));
    logger[LEVELS[level]](Object.fromEntries(fields), message);
  });
