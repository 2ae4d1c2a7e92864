import { InvalidArgumentError, type Command } from 'commander';
import { DatabaseUnavailableError } from '#domain/base/errors.ts';

/** Prints what a verb found: the object as one JSON line with `--json`, else the text. */
export function print(verb: Command, found: object, text: string): void {
  const { json } = verb.optsWithGlobals<{ json?: boolean }>();
  console.log(json === true ? JSON.stringify(found) : text);
}

/** What an operator is told of an error; it may hold what a driver wrote, so whoever prints it masks it. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return 'the command failed';
  // What is in the way is said by the driver.
  if (error instanceof DatabaseUnavailableError) return messageOf(error.cause);
  // A connection that fails on all addresses of a host gives an AggregateError without a message.
  return error instanceof AggregateError ? error.errors.map(messageOf).join('; ') : error.message;
}

/** An option's value. @throws InvalidArgumentError for anything but a whole number, 1 or more */
export function wholeSeconds(text: string): number {
  const seconds = Number(text);
  if (!Number.isInteger(seconds) || seconds < 1) {
    throw new InvalidArgumentError('expected a whole number of seconds, 1 or more');
  }
  return seconds;
}
