import type { DataConverter } from '@temporalio/common';
import { fileURLToPath } from 'node:url';
import { createPayloadCodec } from './payload-codec.ts';
import type { CodecKeys } from './payload-codec.ts';

/** For bundling workflows without any key. */
export const FAILURE_CONVERTER_PATH = fileURLToPath(new URL('./failure-converter.ts', import.meta.url));

/**
 * The one data converter of clients and workers: encrypted payloads and encoded failures (architecture section 3).
 *
 * @throws RangeError or TypeError for unusable keys, see `createPayloadCodec`
 */
export const createDataConverter = (codecKeys: CodecKeys): DataConverter => ({
  failureConverterPath: FAILURE_CONVERTER_PATH,
  payloadCodecs: [createPayloadCodec(codecKeys)],
});
