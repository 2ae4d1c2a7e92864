import codecKey from './codec-key.json' with { type: 'json' };
import type { CodecKeys } from '#temporal/payload-codec.ts';

/** The key that all histories are recorded under; why everybody may know it stands in codec-key.json. */
export const replayCodecKeys: CodecKeys = {
  primaryKeyId: codecKey.id,
  keys: new Map([[codecKey.id, Buffer.from(codecKey.keyBase64, 'base64')]]),
};
