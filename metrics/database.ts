import { Gauge, Histogram } from 'prom-client';
import { registry } from './registry.ts';

/** The databases of the platform that a process talks to. */
export type DatabaseName = 'sync' | 'auth';

export interface PoolState {
  /** Connections that somebody uses, and that wait to be used. */
  readonly used: number;
  readonly idle: number;
  /** Work that waits for a connection. */
  readonly waiting: number;
}

const waits = new Histogram({
  name: 'mana_database_pool_wait_seconds',
  help: 'How long work waited until it had a connection: free at once, made anew, or given back by others.',
  labelNames: ['database'],
  buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10],
  registers: [registry],
});

const pools: { readonly database: DatabaseName; readonly state: () => PoolState }[] = [];
new Gauge({
  name: 'mana_database_pool_connections',
  help: 'Connections of the pools of this process: used, idle, and work that waits for one.',
  labelNames: ['database', 'state'],
  registers: [registry],
  collect() {
    this.reset();
    for (const { database, state } of pools) {
      const now = state();
      for (const name of ['used', 'idle', 'waiting'] as const) this.inc({ database, state: name }, now[name]);
    }
  },
});

export const observePoolWait =
  (database: DatabaseName) =>
  (waitedMs: number): void =>
    waits.observe({ database }, waitedMs / 1_000);

/** @returns `pool`, whose state each scrape asks for from now on */
export function watchPool<T extends { connections(): PoolState }>(database: DatabaseName, pool: T): T {
  pools.push({ database, state: () => pool.connections() });
  return pool;
}
