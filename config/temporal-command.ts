import { readSecret } from './secret-file.ts';
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
 * How a command gets to Temporal, by `TEMPORAL_*`; the API key may also come from the file that `TEMPORAL_API_KEY_FILE` names.
 *
 * @throws SecretFileError, which shows no value
 */
export const loadCommandConnection = (env: Env): TemporalConfig =>
  loadTemporalConfig({ ...env, TEMPORAL_API_KEY: readSecret(env, 'TEMPORAL_API_KEY') });

/**
 * Reads `TEMPORAL_*` alone; the secrets among them may also come from the file that `<name>_FILE` names.
 *
 * @throws Error that names the variable and shows no value
 */
export function loadTemporalCommandConfig(env: Env): TemporalCommandConfig {
  const keys = keysById.safeParse(readSecret(env, 'TEMPORAL_CODEC_KEYS'));
  if (!keys.success) {
    throw new Error(`TEMPORAL_CODEC_KEYS: ${keys.error.issues[0]?.message ?? 'cannot be read'}`);
  }
  const [primaryKeyId = ''] = keys.data.keys();
  return { temporal: loadCommandConnection(env), codecKeys: { primaryKeyId, keys: keys.data } };
}
