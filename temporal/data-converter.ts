import type { DataConverter } from '@temporalio/common';
import { fileURLToPath } from 'node:url';
import { createPayloadCodec, type CodecKeys, type CodecOptions } from './payload-codec.ts';

/** For bundling workflows without any key. */
export const FAILURE_CONVERTER_PATH = fileURLToPath(new URL('./failure-converter.ts', import.meta.url));

/**
 * The one data converter of clients and workers: encrypted payloads and encoded failures (docs/architecture.md section 3).
 *
 * @param options workers act on what they decode, so they refuse plaintext; clients also read what an operator edited by
 *   hand, such as a schedule
 * @throws RangeError or TypeError for unusable keys, see `createPayloadCodec`
 */
export const createDataConverter = (codecKeys: CodecKeys, options: CodecOptions = {}): DataConverter => ({
  failureConverterPath: FAILURE_CONVERTER_PATH,
  payloadCodecs: [createPayloadCodec(codecKeys, options)],
});
