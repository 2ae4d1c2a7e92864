import { Counter } from 'prom-client';
import { registry } from './registry.ts';
import { REPLY_FLAWS, type ReplyFlaw } from '#domain/planner/plan/reply-flaw.ts';

const flawed = new Counter({
  name: 'mana_llm_flawed_replies_total',
  help: 'Replies of the model that planned nothing and said nothing, by what was wrong with them.',
  labelNames: ['flaw'],
  registers: [registry],
});

// A series that appears with its first event hides that event from `increase()`.
for (const flaw of REPLY_FLAWS) flawed.inc({ flaw }, 0);

export const countFlaw = (flaw: ReplyFlaw): void => flawed.inc({ flaw });
