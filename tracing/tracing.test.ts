import { execFileSync } from 'node:child_process';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { currentPlace, exportSpans, inPlace, inSpan, isTracing, type Span } from './spans.ts';
import { summaryOf, traceStatements } from './sql.ts';
import { startTracing, watchExports } from './start.ts';
import { placeOf, traceOfRun } from '#domain/run/trace.ts';
import { registry } from '#metrics/registry.ts';
import { seeingStalls } from '#test/support/machine-stalls.ts';

const place = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16) };
const work = () => ({ name: 'work', kind: 'internal', attributes: {} }) as const;

describe('tracing that is off', () => {
  // That nothing else of ours imports it is a rule of dependency-cruiser.mjs; prom-client brings the package `api` along.
  it('loads no SDK and no exporter of OpenTelemetry', () => {
    const at = (name: string): string => JSON.stringify(new URL(name, import.meta.url));
    const code = `
      import { registerHooks } from 'node:module';
      let found = 0;
      const load = (url, context, next) => {
        if (/@opentelemetry\\/(?!api\\/)/.test(url)) found += 1;
        return next(url, context);
      };
      registerHooks({ load });
      await import(${at('workers.ts')});
      await import(${at('traced-starts.ts')});
      await import(${at('sql.ts')});
      const { startTracing } = await import(${at('start.ts')});
      const service = { name: 'n', version: '0' };
      const log = { warn: () => undefined };
      await (await startTracing(null, service, log))();
      const off = found;
      await (await startTracing('http://127.0.0.1:1', service, log))();
      console.log(JSON.stringify({ off, isOn: found > 0 }));
      process.exit(0);`;
    const output = execFileSync(process.execPath, ['--input-type=module', '--eval', code], {
      encoding: 'utf8',
    });
    expect(JSON.parse(output)).toEqual({ off: 0, isOn: true });
  });

  it('does the work and nothing else', async () => {
    expect(isTracing()).toBe(false);
    const describeSpan = () => expect.unreachable('nobody wants a span');
    expect(await inSpan(describeSpan, () => Promise.resolve(currentPlace()), place)).toBeNull();
    expect(inPlace(place, currentPlace)).toBeNull();
  });
});

describe('spans', () => {
  const collect = async (act: () => Promise<unknown>): Promise<Span[]> => {
    const spans: Span[] = [];
    exportSpans((span) => void spans.push(span));
    await act().finally(() => exportSpans(null));
    return spans;
  };

  it('stand below the one that is under way, also after waiting; without one nothing is measured', async () => {
    const [inner, outer, ...more] = await collect(async () => {
      await inSpan(work, () => Promise.resolve());
      await inSpan(
        work,
        async () => {
          await Promise.resolve();
          await traceStatements('sync')('select 1 from mana_ai.run_slots', () => Promise.resolve());
        },
        place,
      );
    });
    expect(more).toEqual([]);
    expect(outer).toMatchObject({
      parentSpanId: place.spanId,
      place: { traceId: place.traceId },
      failure: null,
    });
    expect(inner).toMatchObject({ name: 'select mana_ai.run_slots', parentSpanId: outer?.place.spanId });
    expect(inner?.attributes).toEqual({ 'db.system.name': 'postgresql', 'db.namespace': 'sync' });
  });

  it.each([
    [Object.assign(new Error('secret'), { code: '23505' }), '23505'],
    [Object.assign(new TypeError('secret'), { code: 'a secret value' }), 'TypeError'],
    ['secret', 'string'],
  ])('name the code of what failed, or its class: %o', async (error, failure) => {
    const spans = await collect(() =>
      inSpan(work, () => Promise.reject(error as Error), place).catch(() => undefined),
    );
    expect(spans).toMatchObject([{ failure }]);
    expect(JSON.stringify(spans)).not.toContain('secret');
  });

  it.each([
    [
      '\n  with found as (select id from public.sync_changes) insert into mana_ai.x values ($1)',
      'with public.sync_changes',
    ],
    ['update mana_ai.run_slots set a = $1', 'update mana_ai.run_slots'],
    ["select set_config('app.current_user_id', $1, true)", 'select'],
    ['', 'statement'],
  ])('call a statement by its first word and table: %j', (text, name) => expect(summaryOf(text)).toBe(name));
});

it('a run is a trace of its own, or part of that of who started it', () => {
  const runId = '019AB000-1111-7222-8333-444455556666';
  expect(traceOfRun(runId, null)).toEqual({
    traceId: '019ab0001111722283334444555566' + '66',
    spanId: '8333444455556666',
  });
  expect(traceOfRun(runId, place)).toEqual({ traceId: place.traceId, spanId: '8333444455556666' });
  expect(placeOf(place)).toEqual(place);
  for (const other of [null, 'x', {}, { ...place, spanId: 'x' }, { ...place, traceId: `${'a'.repeat(31)}g` }])
    expect(placeOf(other)).toBeNull();
});

const service = { name: 'n', version: '0' };
const log = { warn: () => undefined };

it('a collector that refuses is counted and told, by its status alone', async () => {
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(404, 'secret').end('secret');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const warned: unknown[] = [];
  const failedBefore = await exportedSpans('failed');
  const stop = await startTracing(`http://127.0.0.1:${port}`, service, {
    warn: (...line) => void warned.push(line),
  });
  await inSpan(work, () => Promise.resolve(), place);
  await stop();
  server.closeAllConnections();
  server.close();
  expect((await exportedSpans('failed')) - failedBefore).toBe(1);
  expect(warned).toEqual([[{ failure: 'HTTP 404' }, expect.stringContaining('takes no spans')]]);
});

it('a collector that fails again after a success is told again, and not before', async () => {
  const told: string[] = [];
  const sentBefore = await exportedSpans('sent');
  const watch = watchExports({ warn: ({ failure }) => void told.push(failure) });
  for (const failure of ['1', '2', null, '3', '4', null, null, '5']) watch(7, failure);
  expect(told).toEqual(['1', '3', '5']);
  expect((await exportedSpans('sent')) - sentBefore).toBe(21);
});

async function exportedSpans(result: string): Promise<number> {
  const metric = await registry.getSingleMetric('mana_trace_spans_exported_total')?.get();
  return metric?.values.find(({ labels }) => labels['result'] === result)?.value ?? NaN;
}

it('a collector that never answers holds up nothing, not even the end', async () => {
  const server = createServer(() => undefined).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const stop = await startTracing(`http://127.0.0.1:${port}/`, service, log, 100);
  await inSpan(work, () => Promise.resolve(), place);
  const startedAtMs = performance.now();
  const { stalledMs } = await seeingStalls(stop);
  expect(performance.now() - startedAtMs - stalledMs).toBeLessThan(2_000);
  server.closeAllConnections();
  server.close();
});
