import { readFileSync } from 'node:fs';

type Env = Readonly<Record<string, string | undefined>>;

/** A secret that should come from a file and does not. The message shows neither path nor content. */
export class SecretFileError extends Error {
  override readonly name = 'SecretFileError';
  /** As the operator set it: `<name>` or `<name>_FILE`. */
  readonly variable: string;
  readonly problem: string;
  constructor(variable: string, problem: string) {
    super(`${variable}: ${problem}`);
    this.variable = variable;
    this.problem = problem;
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'names a file that does not exist',
  EACCES: 'names a file that this user may not read',
  EISDIR: 'names a folder, not a file',
};

/**
 * The text that an operator gave for `name`, or in the file that `<name>_FILE` names, without white space around it. Set to nothing
 * counts as not set.
 *
 * @throws SecretFileError when both are set, and when the file cannot be read or is empty
 */
export function readSecret(env: Env, name: string): string | undefined {
  const given = env[name] === '' ? undefined : env[name];
  const path = env[`${name}_FILE`] ?? '';
  if (path === '') return given;
  if (given !== undefined) throw new SecretFileError(name, `is set, and so is ${name}_FILE; set one of them`);
  const { text, problem } = read(path);
  if (problem !== null) throw new SecretFileError(`${name}_FILE`, problem);
  return text;
}

function read(path: string): { readonly text: string; readonly problem: string | null } {
  try {
    const text = readFileSync(path, 'utf8').trim();
    return { text, problem: text === '' ? 'names a file that is empty' : null };
  } catch (error) {
    // The cause quotes the path.
    const { code = '' } = error as NodeJS.ErrnoException;
    return { text: '', problem: REASONS[code] ?? 'names a file that cannot be read' };
  }
}
