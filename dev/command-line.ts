import { Command, InvalidArgumentError } from 'commander';

/**
 * A developer's command with its `--help`. What cannot be understood is answered with what is allowed, and ends the process with 2.
 *
 * @param name as it is called, `bin/yarn …` or `node …`
 */
export const commandLine = (name: string, description: string): Command =>
  new Command(name)
    .description(description)
    .showHelpAfterError()
    .showSuggestionAfterError()
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2));

/** An option's value. @throws InvalidArgumentError for anything but a number above 0 */
export function numberAboveZero(text: string): number {
  const number = Number(text);
  if (number > 0 && Number.isFinite(number)) return number;
  throw new InvalidArgumentError('expected a number above 0');
}

/** An option's value. @throws InvalidArgumentError for anything but a whole number from `from` to `to` */
export const wholeNumber =
  (from: number, to: number) =>
  (text: string): number => {
    const number = Number(text);
    if (/^\d+$/.test(text) && number >= from && number <= to) return number;
    throw new InvalidArgumentError(`expected a whole number from ${from} to ${to}`);
  };

/** An option's value, names with commas between them. @throws InvalidArgumentError for a name that is none of `allowed` */
export const someOf =
  <Name extends string>(allowed: readonly Name[]) =>
  (text: string): readonly Name[] =>
    text.split(',').map((name) => {
      const found = allowed.find((one) => one === name);
      if (found !== undefined) return found;
      throw new InvalidArgumentError(`found ${name}, expected some of ${allowed.join(', ')}`);
    });

/** `--write` makes a file anew, `--check` ends with 1 where it is not as it would be made; just one of them. */
export function writeOrCheck(name: string, description: string): 'write' | 'check' {
  const command = commandLine(name, description)
    .option('--write', 'make it anew')
    .option('--check', 'end with 1 where it is not as it would be made')
    .parse();
  const { write = false, check = false } = command.opts<{ write?: boolean; check?: boolean }>();
  if (write === check) command.error('give either --write or --check');
  return write ? 'write' : 'check';
}
