import { GatewayRejectedError } from '#domain/base/errors.ts';
import type { Gateway } from '#llm/gateway.ts';
import { inSpan } from '#tracing/spans.ts';
import { observeCall, type CallOutcome } from '#metrics/gateway.ts';

const CALL = () => ({ name: 'gateway chat completion', kind: 'client', attributes: {} }) as const;

/** Measures each call that is sent. */
export const observedGateway = (gateway: Gateway): Gateway => ({
  ...gateway,
  async complete(bodyText, options) {
    const startedAtMs = performance.now();
    let outcome: CallOutcome = 'answered';
    try {
      return await inSpan(CALL, () => gateway.complete(bodyText, options));
    } catch (error) {
      outcome = outcomeOf(error, options.signal);
      throw error;
    } finally {
      observeCall(outcome, performance.now() - startedAtMs);
    }
  },
});

function outcomeOf(error: unknown, signal: AbortSignal): CallOutcome {
  if (signal.aborted) return 'aborted';
  return error instanceof GatewayRejectedError ? 'refused' : 'failed';
}
