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
