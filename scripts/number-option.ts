/** The value of a command's option that has to be a number above 0; ends the process with 2 where it is none. */
export function numberOption(name: string, text: string): number {
  const number = Number(text);
  if (number > 0) return number;
  console.error(`--${name}: found ${text}, expected a number above 0`);
  process.exit(2);
}
