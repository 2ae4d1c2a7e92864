import { Counter } from 'prom-client';
import { registry } from './registry.ts';

/** What was too large to be read, and so passed over or told to the user (docs/limits.md). */
const PUT_ASIDE_KINDS = ['projected-row', 'projected-iterations', 'mission', 'agent', 'input'] as const;
export type PutAsideKind = (typeof PUT_ASIDE_KINDS)[number];

const putAside = new Counter({
  name: 'mana_records_put_aside_total',
  help: 'Records and rows that were too large to be read, by kind.',
  labelNames: ['kind'],
  registers: [registry],
});

// A series that appears with its first event hides that event from `increase()`.
for (const kind of PUT_ASIDE_KINDS) putAside.inc({ kind }, 0);

export const countPutAside = (kind: PutAsideKind): void => putAside.inc({ kind });
