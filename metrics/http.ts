import { Histogram } from 'prom-client';
import { registry } from './registry.ts';

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

const durations = new Histogram({
  name: 'mana_http_request_duration_seconds',
  help: 'Requests of the API, by method, route pattern and status.',
  labelNames: ['method', 'route', 'status'],
  buckets: SECONDS,
  registers: [registry],
});

/** @param route the pattern (`/api/v1/me/ai-mission-grant/:missionId`), null for a request without a route */
export function countRequest(request: {
  readonly method: string;
  readonly route: string | null;
  readonly status: number;
  readonly durationMs: number;
}): void {
  const { route, status, durationMs } = request;
  // Clients choose the method: without a route it could be anything.
  const method = route === null ? 'none' : request.method;
  durations.observe({ method, route: route ?? 'none', status }, durationMs / 1000);
}
