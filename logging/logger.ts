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

/**
 * An error that nobody caught ends the process by way of the log: one structured line without values, as `describeError`
 * gives it, then exit code 1. Node's own way would print the error with its text, which may quote content.
 */
export function endOnUncaughtErrors(logger: Logger): void {
  const end = (error: unknown): never => {
    logger.fatal({ err: error }, 'an error that nobody caught ends the process');
    process.exit(1);
  };
  process.on('uncaughtException', end);
  process.on('unhandledRejection', end);
}

/** For operators' commands, whose stdout is their result: the line goes to stderr. */
export const endCommandOnUncaughtErrors = (command: string): void =>
  endOnUncaughtErrors(createLogger(command, 'info', pino.destination({ fd: 2, sync: true })));
