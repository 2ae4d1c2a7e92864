import type { Check } from '#health/readiness.ts';
import { countUndecodable } from '#metrics/payloads.ts';
import type { UndecodablePayloadError } from '#temporal/payload-codec.ts';

/** A run whose payloads cannot be decoded is tried again after ten minutes at most: as long as there is one, it shows. */
const REMEMBERED_MS = 15 * 60_000;

export interface CodecKeyWatch {
  /** Counts; for the data converters of the process. */
  readonly onUndecodable: (error: UndecodablePayloadError) => void;
  /** Not `ok` as long as a payload was met lately that is under no key of this process. */
  readonly check: Check;
}

/** @param now milliseconds of a clock that nobody sets */
export function watchCodecKeys(now: () => number = () => performance.now()): CodecKeyWatch {
  let last: { readonly text: string; readonly atMs: number } | null = null;
  return {
    onUndecodable: (error) => {
      countUndecodable('worker', error.reason);
      // Plaintext is a stranger's, and no key of ours would change that.
      if (error.reason !== 'plaintext') last = { text: error.message, atMs: now() };
    },
    check: () => Promise.resolve(last === null || now() - last.atMs > REMEMBERED_MS ? 'ok' : last.text),
  };
}
