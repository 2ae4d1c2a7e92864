import { expect, it } from 'vitest';
import { observedGateway } from './observed-gateway.ts';
import { limitGateway } from '#llm/gateway-limit.ts';
import { createGateway } from '#llm/gateway.ts';

it('a gateway that is measured, and limited, still says how long a call may take: how long one may wait for its place goes by it', () => {
  const gateway = createGateway({ baseUrl: 'http://127.0.0.1:1', serviceKey: 'k', timeoutMs: 12_345 });
  const measured = observedGateway(gateway);
  expect(measured.timeoutMs).toBe(12_345);
  expect(limitGateway(measured, { mostInFlight: 1 }).timeoutMs).toBe(12_345);
});
