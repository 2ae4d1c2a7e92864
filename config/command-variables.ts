import type { z } from 'zod';
import { readSecret, SecretFileError } from './secret-file.ts';

type Env = Readonly<Record<string, string | undefined>>;

/**
 * Reads the variables of an operator's command; each may also come from the file that `<name>_FILE` names.
 *
 * @param fallbacks by a variable's name, the one that is read where neither is set
 * @param refuse makes the error of what is wrong: one line for each variable, without values
 */
export function readCommandVariables<Schema extends z.ZodObject>(
  schema: Schema,
  env: Env,
  refuse: (problems: readonly string[]) => Error,
  fallbacks: Readonly<Record<string, string>> = {},
): z.output<Schema> {
  const inFiles = new Map<string, SecretFileError>();
  const values = Object.keys(schema.shape).map((name): [string, string | undefined] => {
    const fallback = fallbacks[name];
    try {
      const given = readSecret(env, name);
      return [name, given ?? (fallback === undefined ? undefined : readSecret(env, fallback))];
    } catch (error) {
      if (!(error instanceof SecretFileError)) throw error;
      inFiles.set(name, error);
      return [name, undefined];
    }
  });
  const parsed = schema.safeParse(Object.fromEntries(values));
  if (parsed.success && inFiles.size === 0) return parsed.data;
  const problems = (parsed.error?.issues ?? [])
    .filter(({ path }) => !inFiles.has(String(path[0])))
    .map(({ path, message }) => `${String(path[0])}: ${message}`)
    .concat([...new Set([...inFiles.values()].map(({ message }) => message))]);
  throw refuse(problems);
}
