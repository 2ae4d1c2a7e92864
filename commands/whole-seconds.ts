import { InvalidArgumentError } from 'commander';

/** An option's value. @throws InvalidArgumentError for anything but a whole number, 1 or more */
export function wholeSeconds(text: string): number {
  const seconds = Number(text);
  if (!Number.isInteger(seconds) || seconds < 1) {
    throw new InvalidArgumentError('expected a whole number of seconds, 1 or more');
  }
  return seconds;
}
