import { OwnError } from '#domain/base/errors.ts';
import { safeMessageOf } from './safe-messages.ts';

/** What a log line may hold of an error. */
export interface DescribedError {
  /** Its class. */
  readonly type: string;
  /** SQLSTATE, system error, gRPC status, or a code of our own. */
  readonly code?: string;
  /** Host and port that could not be reached. */
  readonly address?: string;
  /** Of errors of our own, whose texts hold no content; of others what `safeMessageOf` says in its own words. */
  readonly message?: string;
  /** Stack frames, the innermost first. */
  readonly at?: readonly string[];
  readonly cause?: DescribedError;
}

const FRAMES_KEPT = 8;
const CAUSES_KEPT = 4;

/**
 * The type, code and place of an error. Messages of PostgreSQL, of parsers and of schemas quote values, so only those of our
 * own errors are kept; for others, what is certainly safe to say.
 */
export function describeError(error: unknown, depth = 0): DescribedError {
  if (!(error instanceof Error)) return describeOther(error);
  const code = codeOf(error);
  const address = addressOf(error);
  const message = error instanceof OwnError ? error.message : safeMessageOf(error, code);
  // Where several addresses were tried, the first attempt speaks for all.
  const cause: unknown = error instanceof AggregateError ? error.errors[0] : error.cause;
  return {
    type: error.constructor.name,
    ...(code !== null && { code }),
    ...(address !== null && { address }),
    ...(message !== null && { message }),
    at: stackFrames(error),
    ...(cause !== undefined && depth < CAUSES_KEPT && { cause: describeError(cause, depth + 1) }),
  };
}

/**
 * What is no error has no place of its own: where it is logged has to do. The SDK's core hands errors on as the text of a Rust
 * value, `Status { code: Unavailable, message: "…", … 127.0.0.1:7233, Os { code: 111, kind: ConnectionRefused, …`.
 */
function describeOther(thrown: unknown): DescribedError {
  if (typeof thrown === 'string' && thrown.startsWith('Status {')) return describeStatus(thrown);
  const at = stackFrames(new Error()).filter((frame) => !NO_PLACE.test(frame));
  return { type: typeof thrown, ...(at.length > 0 && { at }) };
}

const NO_PLACE = /node_modules|\(node:|\/(?:describe-error|logger|temporal-logger)\.ts/;

/** Its message may quote content; status, address and the kind of a system error cannot. */
function describeStatus(text: string): DescribedError {
  const [, name = ''] = /^Status \{ code: (\w{1,40})/.exec(text) ?? [];
  const code = GRPC_STATUSES.find((status) => status.replaceAll('_', '') === name.toUpperCase());
  const [address] = /(?:\b(?:\d{1,3}\.){3}\d{1,3}|\[[\da-f:]{2,39}\]):\d{1,5}\b/.exec(text) ?? [];
  const [, kind] = /\bOs \{ code: \d{1,5}, kind: (\w{1,40})/.exec(text) ?? [];
  return {
    type: 'Status',
    ...(code !== undefined && { code }),
    ...(address !== undefined && { address }),
    ...(kind !== undefined && { cause: { type: 'Os', code: kind } }),
  };
}

/** In the order of their numbers. */
const GRPC_STATUSES = [
  ...['OK', 'CANCELLED', 'UNKNOWN', 'INVALID_ARGUMENT', 'DEADLINE_EXCEEDED', 'NOT_FOUND', 'ALREADY_EXISTS'],
  ...['PERMISSION_DENIED', 'RESOURCE_EXHAUSTED', 'FAILED_PRECONDITION', 'ABORTED', 'OUT_OF_RANGE'],
  ...['UNIMPLEMENTED', 'INTERNAL', 'UNAVAILABLE', 'DATA_LOSS', 'UNAUTHENTICATED'],
];

function codeOf(error: Error): string | null {
  if (!('code' in error)) return null;
  const { code } = error;
  if (typeof code === 'number' && 'metadata' in error) return GRPC_STATUSES[code] ?? null;
  return typeof code === 'string' && /^\w{1,60}$/.test(code) ? code : null;
}

/** A system error names what it could not reach in fields of its own. */
function addressOf(error: Error): string | null {
  if (!('syscall' in error)) return null;
  const host = textOf(error, 'address') ?? textOf(error, 'hostname');
  const port = textOf(error, 'port');
  if (host === null) return null;
  return port === null ? host : `${host}:${port}`;
}

function textOf(error: Error, name: string): string | null {
  const value: unknown = Object.entries(error).find(([known]) => known === name)?.[1];
  const text = typeof value === 'number' ? String(value) : value;
  return typeof text === 'string' && /^[\w.:/-]{1,255}$/.test(text) ? text : null;
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
