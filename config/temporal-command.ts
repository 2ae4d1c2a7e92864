import { readFileSync } from 'node:fs';
import { keysById } from './variables.ts';
import { loadTemporalConfig, type TemporalConfig } from '#temporal/connection.ts';
import type { CodecKeys } from '#temporal/payload-codec.ts';

/** What an operator's command needs that talks to Temporal and to nothing else. */
export interface TemporalCommandConfig {
  readonly temporal: TemporalConfig;
  readonly codecKeys: CodecKeys;
}

type Env = Readonly<Record<string, string | undefined>>;

/**
 * Reads `TEMPORAL_*` alone; the secrets among them may also come from the file that `<name>_FILE` names.
 *
 * @throws Error that names the variable and shows no value
 */
export function loadTemporalCommandConfig(env: Env): TemporalCommandConfig {
  const keys = keysById.safeParse(valueOf(env, 'TEMPORAL_CODEC_KEYS'));
  if (!keys.success) {
    throw new Error(`TEMPORAL_CODEC_KEYS: ${keys.error.issues[0]?.message ?? 'cannot be read'}`);
  }
  const [primaryKeyId = ''] = keys.data.keys();
  const temporal = loadTemporalConfig({ ...env, TEMPORAL_API_KEY: valueOf(env, 'TEMPORAL_API_KEY') });
  return { temporal, codecKeys: { primaryKeyId, keys: keys.data } };
}

function valueOf(env: Env, name: string): string | undefined {
  const path = env[`${name}_FILE`] ?? '';
  if (path === '') return env[name];
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    throw new Error(`${name}_FILE: names a file that cannot be read`);
  }
}
