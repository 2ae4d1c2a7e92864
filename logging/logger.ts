import { pino, stdTimeFunctions, type DestinationStream, type Logger } from 'pino';
import { describeError } from './describe-error.ts';

/** JSON lines on stdout, without user content: errors are reduced to what cannot quote any. */
export const createLogger = (processName: string, level: string, destination?: DestinationStream): Logger =>
  pino(
    {
      level,
      base: { process: processName },
      timestamp: stdTimeFunctions.isoTime,
      serializers: { err: describeError, error: describeError, req: () => undefined, res: () => undefined },
    },
    destination ?? process.stdout,
  );
