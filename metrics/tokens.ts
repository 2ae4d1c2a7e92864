import { Counter } from 'prom-client';
import { registry } from './registry.ts';

/** `unknown`: an estimate, of calls whose reply was lost or that the gateway gave no figure for. */
const TOKEN_PURPOSES = ['plan', 'compact', 'unknown'] as const;
export type TokenPurpose = (typeof TOKEN_PURPOSES)[number];

const tokens = new Counter({
  name: 'mana_llm_tokens_total',
  help: 'Tokens of the model, by what they were spent on; unknown = estimated, the reply was lost.',
  labelNames: ['purpose'],
  registers: [registry],
});

// A series that appears with its first event hides that event from `increase()`.
for (const purpose of TOKEN_PURPOSES) tokens.inc({ purpose }, 0);

export const countTokens = (purpose: TokenPurpose, count: number): void => tokens.inc({ purpose }, count);
