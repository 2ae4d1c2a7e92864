import { Counter } from 'prom-client';
import { registry } from './registry.ts';

const exported = new Counter({
  name: 'mana_trace_spans_exported_total',
  help: 'Spans that were given to the collector of OTEL_EXPORTER_OTLP_ENDPOINT; failed = it did not take them, and they are dropped.',
  labelNames: ['result'],
  registers: [registry],
});
for (const result of ['sent', 'failed']) exported.inc({ result }, 0);

export const countExported = (result: 'sent' | 'failed', spans: number): void =>
  exported.inc({ result }, spans);
