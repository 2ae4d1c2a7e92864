import { Counter } from 'prom-client';
import { registry } from './registry.ts';

/** `unknown-key`: a codec key is missing; `does-not-open`: its id means another key now, or the payload was altered. */
export const UNDECODABLE_REASONS = ['unknown-key', 'does-not-open', 'plaintext'] as const;

const undecodable = new Counter({
  name: 'mana_codec_undecodable_payloads_total',
  help: 'Payloads from Temporal that were not decoded; unknown-key = TEMPORAL_CODEC_KEYS lacks a key.',
  labelNames: ['reason'],
  registers: [registry],
});

// A series that appears with its first event hides that event from `increase()`.
for (const reason of UNDECODABLE_REASONS) undecodable.inc({ reason }, 0);

export const countUndecodable = (reason: (typeof UNDECODABLE_REASONS)[number]): void =>
  undecodable.inc({ reason });
