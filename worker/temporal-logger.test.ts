import { expect, it } from 'vitest';
import { createTemporalLogger } from './temporal-logger.ts';
import { createLogger } from '#logging/logger.ts';

const logged = (meta: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> => {
  const lines: string[] = [];
  const logger = createLogger('test', 'info', { write: (line) => lines.push(line) });
  createTemporalLogger(logger).error('what happened', meta);
  return JSON.parse(lines[0] ?? '{}') as Readonly<Record<string, unknown>>;
};

it('what our activities and workflows say stands in the log', () => {
  const said = { failureType: 'GATEWAY_DENIED', nonRetryable: false, attempt: 2, lost: 1, phase: 'loading' };
  expect(logged(said)).toMatchObject({ ...said, msg: 'what happened', level: 50 });
});

it('what the SDK says besides does not', () => {
  const said = logged({ taskToken: 'secret', reason: 'quotes content', runId: 'r1' });
  expect(said).toMatchObject({ runId: 'r1' });
  expect(JSON.stringify(said)).not.toMatch(/taskToken|secret|quotes/);
});

it('an error of the SDK’s core, which comes as a text, has type, code, address and place', () => {
  const error =
    'Status { code: Unavailable, message: "secret", source: Some(tonic::transport::Error(Transport, ConnectError(ConnectError("tcp connect error", 127.0.0.1:42319, Os { code: 111, kind: ConnectionRefused, message: "Connection refused" })))) }';
  const said = logged({ sdkComponent: 'core', target: 'temporalio_client::retry', error });
  expect(said).toMatchObject({
    target: 'temporalio_client::retry',
    error: {
      ...{ type: 'Status', code: 'UNAVAILABLE', address: '127.0.0.1:42319' },
      cause: { type: 'Os', code: 'ConnectionRefused' },
    },
  });
  expect(JSON.stringify(said)).not.toContain('secret');
  const other = logged({
    error: 'Status { code: DeadlineExceeded, message: "secret", address: [::1]:7233 }',
  });
  expect(other).toMatchObject({ error: { code: 'DEADLINE_EXCEEDED', address: '[::1]:7233' } });
});
