import { readdirSync, readFileSync } from 'node:fs';
import fc, { type Arbitrary } from 'fast-check';
import { plainText } from './hostile-texts.ts';
import { httpError, httpReply, reset, type ScriptedResponse } from '#dev/scripted-gateway.ts';
import { expandFixture } from '#test/support/reply-fixtures.ts';

/** What the gateway does with one request: after a while, and never well. */
export interface HostileReply {
  readonly afterMs: number;
  readonly response: ScriptedResponse;
}

const folder = new URL('../../replies/', import.meta.url);
/** Bodies that were seen, or may be, of whatever is large: those have tests of their own and would only take time here. */
const BODIES: readonly unknown[] = readdirSync(folder)
  .filter((name) => name.endsWith('.json'))
  .flatMap(
    (name) => (JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as { replies: unknown[] }).replies,
  )
  .map((body) => expandFixture(body))
  .filter((body) => JSON.stringify(body).length < 100_000);

const USAGE = { prompt_tokens: 100, completion_tokens: 20, total_tokens: 120 };
const seen = fc.constantFrom(...BODIES);
const strange: Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(null, 5, '', [], {}, true, 1e300, -1),
  plainText,
);

/** The same body with one value of it, anywhere, in place of another. */
const mutated = fc.tuple(seen, fc.nat(), strange).map(([body, place, value]) => {
  let left = place % Math.max(1, JSON.stringify(body).split(/[:,[]/).length);
  const replace = (at: unknown): unknown => {
    left -= 1;
    if (left === 0) return value;
    if (Array.isArray(at)) return at.map(replace);
    if (typeof at !== 'object' || at === null) return at;
    return Object.fromEntries(Object.entries(at).map(([key, item]) => [key, replace(item)]));
  };
  return replace(body);
});
const usage = fc.constantFrom<unknown>(
  ...[USAGE, null, 5, 'none', { total_tokens: -5 }, { total_tokens: 2 ** 53, prompt_tokens: 1e300 }],
  { total_tokens: '120' },
);

const httpText = (body: string): ScriptedResponse => ({
  ...{ kind: 'http', status: 200, headers: { 'content-type': 'application/json' }, body },
});
const withUsage = fc
  .tuple(fc.oneof(seen, mutated), usage)
  .map(([body, figures]) =>
    typeof body === 'object' && body !== null && !Array.isArray(body)
      ? httpReply(200, { usage: figures, ...body })
      : httpText(typeof body === 'string' ? body : JSON.stringify(body)),
  );
const cut = fc
  .tuple(seen, fc.double({ min: 0, max: 1, noNaN: true }))
  .map(([body, share]) => JSON.stringify(body).slice(0, Math.floor(JSON.stringify(body).length * share)))
  .map(httpText);
const refused = fc
  .tuple(fc.constantFrom(400, 404, 409, 422, 429, 500, 502, 503, 504), plainText)
  .map(([status, message]) => httpError(status, { kind: 'blocked', message }));

export const hostileReply: Arbitrary<HostileReply> = fc.record({
  afterMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 1_500 })),
  response: fc.oneof(
    { weight: 6, arbitrary: withUsage },
    { weight: 2, arbitrary: cut },
    { weight: 1, arbitrary: refused },
    { weight: 1, arbitrary: fc.constant(reset()) },
  ),
});
