import { Counter } from 'prom-client';
import { registry } from './registry.ts';

/** `unknown-key`: a codec key is missing; `does-not-open`: its id means another key now, or the payload was altered. */
const UNDECODABLE_REASONS = ['unknown-key', 'does-not-open', 'plaintext'] as const;
/** For users who look at runs of long ago a missing key is no matter; for a worker it is. */
const READERS = ['api', 'worker'] as const;

const undecodable = new Counter({
  name: 'mana_codec_undecodable_payloads_total',
  help: 'Payloads from Temporal that were not decoded; unknown-key = TEMPORAL_CODEC_KEYS lacks a key. The API reads runs of long ago, workers what is to be done.',
  labelNames: ['process', 'reason'],
  registers: [registry],
});

// A series that appears with its first event hides that event from `increase()`.
for (const process of READERS)
  for (const reason of UNDECODABLE_REASONS) undecodable.inc({ process, reason }, 0);

export const countUndecodable = (
  process: (typeof READERS)[number],
  reason: (typeof UNDECODABLE_REASONS)[number],
): void => undecodable.inc({ process, reason });
