import type { ErrorCode } from '#domain/base/errors.ts';
import type { OutsideFailure } from '#metrics/outside.ts';

/** Failures of the services that a run asks, and what an operator has to know of those that are no user's fault. */
export const OUTSIDE_FAILURES: Readonly<
  Partial<Record<ErrorCode, OutsideFailure & { readonly advice: string | null }>>
> = {
  GATEWAY_UNAVAILABLE: { service: 'gateway', reason: 'unavailable', advice: null },
  GATEWAY_REJECTED: { service: 'gateway', reason: 'rejected', advice: null },
  GATEWAY_DENIED: {
    ...{ service: 'gateway', reason: 'denied' },
    advice:
      'the gateway or its provider accepts no key of ours; check MANA_SERVICE_KEY here and the keys of the providers in mana-llm; the round is tried again for two hours',
  },
  WINDOW_TOO_SMALL: {
    ...{ service: 'gateway', reason: 'window' },
    advice:
      'a model reads less at a time than it is said to; set MANA_LLM_CONTEXT_TOKENS to the window of MANA_LLM_MODEL, or name another model',
  },
  RESEARCH_UNAVAILABLE: {
    ...{ service: 'research', reason: 'unavailable' },
    advice:
      'a research service gives no usable answer; check MANA_API_URL and MANA_RESEARCH_URL; missions are planned without research',
  },
  RESEARCH_DENIED: {
    ...{ service: 'research', reason: 'denied' },
    advice:
      'a research service accepts no key of ours; the newest news-research wants a user token, which a background run has not: leave MANA_API_URL empty to do without; missions are planned without research',
  },
  RESEARCH_REJECTED: {
    ...{ service: 'research', reason: 'rejected' },
    advice:
      'a research service refuses what it is asked; the status is in the line before: with 404 check MANA_API_URL and MANA_RESEARCH_URL; missions are planned without research',
  },
};
