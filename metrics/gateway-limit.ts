import { Counter, Gauge } from 'prom-client';
import { registry } from './registry.ts';

const limit = new Gauge({
  name: 'mana_llm_calls_limit',
  help: 'How many calls of the LLM gateway this process makes at a time, as the gateway bears them.',
  registers: [registry],
});
const heldBack = new Counter({
  name: 'mana_llm_calls_held_back_total',
  help: 'Calls that were not sent, because the gateway had said that it is overloaded; their runs come back.',
  registers: [registry],
});

export const reportLimit = (calls: number): void => limit.set(calls);
export const countHeldBack = (): void => heldBack.inc();
