import { MissionError } from '../domain/errors.ts';

export interface DescribedError {
  readonly type: string;
  readonly code?: string;
  /** Only of errors of our own, whose texts hold no content. */
  readonly message?: string;
  readonly at?: readonly string[];
  readonly cause?: DescribedError;
}

const FRAMES_KEPT = 8;
const CAUSES_KEPT = 4;

/**
 * The type, code and place of an error: what a log line may hold. Messages of PostgreSQL, of parsers and of schemas quote
 * values, so only those of our own errors are kept.
 */
export function describeError(error: unknown, depth = 0): DescribedError {
  if (!(error instanceof Error)) return { type: typeof error };
  const code =
    'code' in error && typeof error.code === 'string' && /^\w{1,60}$/.test(error.code) && error.code;
  return {
    type: error.constructor.name,
    ...(code !== false && { code }),
    ...(error instanceof MissionError && { message: error.message }),
    ...(!(error instanceof MissionError) && { at: stackFrames(error) }),
    ...(error.cause !== undefined && depth < CAUSES_KEPT && { cause: describeError(error.cause, depth + 1) }),
  };
}

/** The frames without the message in front of them, which may have several lines. */
function stackFrames(error: Error): string[] {
  const stack = error.stack ?? '';
  const start = stack.indexOf(error.message);
  const frames = start < 0 ? stack : stack.slice(start + error.message.length);
  return frames
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line.startsWith('at '))
    .slice(0, FRAMES_KEPT);
}
