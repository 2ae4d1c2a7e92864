import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { FastifyInstance, LightMyRequestResponse } from 'fastify';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { openClient, type ConnectedClient } from '#temporal/connection.ts';
import { createDataConverter } from '#temporal/data-converter.ts';
import { bearer, startGrantingApi, type GrantingApi, type Owner } from '#test/support/granting-api.ts';

/** What of JSON Schema our description uses. */
interface Schema {
  readonly type?: string | readonly string[];
  readonly enum?: readonly string[];
  readonly anyOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
}
interface Operation {
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly schema: Schema }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
  readonly responses: Readonly<
    Record<string, { readonly content?: Record<string, { readonly schema: Schema }> }>
  >;
}
interface Description {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}
interface Request {
  readonly method: string;
  /** As the description names it. */
  readonly path: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly payload?: string;
}

const MISSION = '/api/v1/me/missions/{missionId}';

let granting: GrantingApi;
let temporal: ConnectedClient;
let app: FastifyInstance;
let owner: Owner;
let description: Description;
beforeAll(async () => {
  granting = await startGrantingApi();
  const codecKeys = { primaryKeyId: 'k', keys: new Map([['k', randomBytes(32)]]) };
  temporal = openClient(
    { address: inject('temporalAddress'), namespace: 'default' },
    createDataConverter(codecKeys),
  );
  app = await granting.startApp({ temporalClient: temporal.client });
  owner = await granting.createOwner();
  // What path parameters are where the generator leaves them out.
  await granting.admin.sync.system`
    insert into mana_ai.mission_snapshots (user_id, mission_id, exists_now, state)
    values (${owner.userId}, 'm1', true, 'active')`;
  description = (await app.inject('/openapi.json')).json();
});
afterAll(async () => {
  await endRuns();
  await temporal.close();
  await granting.close();
});

/** Nobody polls for the runs that were asked for. */
async function endRuns(): Promise<void> {
  const { workflow } = temporal.client;
  for await (const { workflowId } of workflow.list({ query: `ManaUserId = '${owner.userId}'` })) {
    await workflow.getHandle(workflowId).terminate('end of the test');
  }
}

it('the API describes itself in OpenAPI 3.1, and docs/openapi.json is a copy of that', () => {
  expect(description.openapi).toBe('3.1.0');
  const copy: unknown = JSON.parse(readFileSync(new URL('../../docs/openapi.json', import.meta.url), 'utf8'));
  expect(description, 'run: node scripts/openapi.ts --write').toEqual(copy);
});

it('the description names every route that the API has', () => {
  const described = Object.entries(description.paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
  );
  for (const route of described) {
    const [method = '', path = ''] = route.split(' ');
    expect(app.hasRoute({ method, url: path.replaceAll(/\{(\w+)\}/g, ':$1') }), route).toBe(true);
  }
  expect(described).toEqual(
    expect.arrayContaining([
      'POST /api/v1/me/ai-mission-grant',
      'GET /api/v1/me/ai-mission-grant/{missionId}',
      'DELETE /api/v1/me/ai-mission-grant/{missionId}',
      'GET /api/v1/me/ai-audit',
      'GET /health',
      'GET /ready',
      'GET /metrics',
      ...['GET', 'PUT', 'DELETE'].map((method) => `${method} ${MISSION}/schedule`),
      ...[`POST ${MISSION}/run`, `GET ${MISSION}/runs`],
      ...[MISSION, '/api/v1/me/missions'].flatMap((of) => [
        `GET ${of}/runs/{runId}`,
        `POST ${of}/runs/{runId}/cancel`,
      ]),
      'POST /internal/tick',
    ]),
  );
});

const anyText = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  // Also what UTF-8 and PostgreSQL do not hold.
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom(
    '',
    '\0',
    '\ud800',
    "'; drop table x; --",
    '__proto__',
    'NaN',
    '1e309',
    '../..',
    '%00',
    '${1}',
  ),
);

/** A value that the schema allows, mostly. */
function valueOf(schema: Schema): fc.Arbitrary<unknown> {
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  if (schema.anyOf !== undefined) return fc.oneof(...schema.anyOf.map(valueOf));
  const types = typeof schema.type === 'string' ? [schema.type] : (schema.type ?? []);
  const byType: Readonly<Record<string, () => fc.Arbitrary<unknown>>> = {
    string: () => textOf(schema),
    null: () => fc.constant(null),
    array: () =>
      fc.array(valueOf(schema.items ?? {}), {
        minLength: schema.minItems ?? 0,
        maxLength: Math.min(schema.maxItems ?? 5, 5),
      }),
    object: () =>
      fc.record(
        Object.fromEntries(
          Object.entries(schema.properties ?? {}).map(([name, inner]) => [name, valueOf(inner)]),
        ),
        { requiredKeys: [...(schema.required ?? [])] },
      ),
  };
  const arbitraries = types.flatMap((type) => byType[type]?.() ?? []);
  return arbitraries.length === 0 ? fc.jsonValue() : fc.oneof(...arbitraries);
}

const textOf = ({ minLength = 0, maxLength = 60, pattern }: Schema): fc.Arbitrary<string> =>
  fc.oneof(
    {
      weight: 20,
      arbitrary:
        pattern === undefined
          ? fc.string({ minLength, maxLength: Math.min(maxLength, 60) })
          : fc.stringMatching(new RegExp(pattern), { maxLength: Math.min(maxLength, 60) }),
    },
    { weight: 4, arbitrary: fc.constantFrom('notes:n1', 'tasks:ä', 'notes', 'Europe/Berlin') },
    // At the bound and beyond it.
    { weight: 1, arbitrary: fc.constantFrom('x'.repeat(maxLength), 'x'.repeat(maxLength + 1)) },
  );

/** Any JSON in place of one part of a value. */
const spoiled = (value: unknown): fc.Arbitrary<unknown> => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return fc.jsonValue();
  const names = [...Object.keys(value), '__proto__', 'constructor', 'more'];
  return fc
    .tuple(fc.constantFrom(...names), fc.oneof(fc.jsonValue(), anyText))
    .map(([name, replaced]) => Object.fromEntries([...Object.entries(value), [name, replaced]]) as unknown);
};

const bodyOf = (schema: Schema): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 4, arbitrary: valueOf(schema).map((value) => JSON.stringify(value)) },
    {
      weight: 3,
      arbitrary: valueOf(schema)
        .chain(spoiled)
        .map((value) => JSON.stringify(value)),
    },
    { weight: 1, arbitrary: fc.json() },
    { weight: 1, arbitrary: anyText },
    { weight: 1, arbitrary: valueOf(schema).map((value) => JSON.stringify(value).slice(0, -3)) },
  );

/** Not `String`: an object of the generator may have a `toString` that is no function. */
const pathText = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

const headersOf = (): fc.Arbitrary<Record<string, string>> => {
  const visible = fc.string({
    unit: fc.integer({ min: 33, max: 126 }).map((code) => String.fromCharCode(code)),
  });
  return fc
    .record(
      {
        authorization: fc.oneof(
          { weight: 8, arbitrary: fc.constant(bearer(owner.token).authorization) },
          { weight: 1, arbitrary: visible.map((text) => `Bearer ${text}`) },
          { weight: 1, arbitrary: visible },
        ),
        'content-type': fc.oneof(
          { weight: 8, arbitrary: fc.constant('application/json') },
          {
            weight: 1,
            arbitrary: fc.constantFrom('text/plain', 'application/json; charset=latin1', 'x', ''),
          },
          { weight: 1, arbitrary: visible },
        ),
        accept: visible,
        origin: fc.constantFrom('https://app.test', 'null', 'https://evil.test'),
        'x-forwarded-for': visible,
        'x-service-key': visible,
        'user-agent': visible,
      },
      { requiredKeys: ['authorization', 'content-type'] },
    )
    .map((headers) => ({ ...headers }));
};

/** Percent-encoded where that is possible, raw where it is not, so that also broken URLs come about. */
const encoded = (text: string): string => (text.isWellFormed() ? encodeURIComponent(text) : '%ED%A0%80');

/** Left out as often as not, so that requests reach the handlers. */
const HALF_OF_THEM = { freq: 2 };

function requestOf(path: string, method: string, operation: Operation): fc.Arbitrary<Request> {
  const parameters = operation.parameters ?? [];
  const values = fc.tuple(
    ...parameters.map(({ schema }) =>
      fc.option(fc.oneof(valueOf(schema).map(pathText), anyText), HALF_OF_THEM),
    ),
  );
  const body = operation.requestBody?.content['application/json']?.schema;
  const payload =
    body === undefined ? fc.option(anyText, HALF_OF_THEM) : fc.option(bodyOf(body), { freq: 20 });
  return fc.tuple(values, headersOf(), payload).map(([texts, headers, content]) => {
    let url = path;
    const query: string[] = [];
    for (const [index, { name, in: place }] of parameters.entries()) {
      const text = texts[index] ?? null;
      if (place === 'path') url = url.replace(`{${name}}`, () => encoded(text ?? 'm1'));
      else if (text !== null) query.push(`${name}=${encoded(text)}`);
    }
    if (query.length > 0) url += `?${query.join('&')}`;
    // GET and HEAD have no body.
    const hasBody = content !== null && method !== 'GET';
    return { method, path, url, headers, ...(hasBody && { payload: content }) };
  });
}

const anyRequest = (): fc.Arbitrary<Request> =>
  fc.oneof(
    ...Object.entries(description.paths).flatMap(([path, operations]) =>
      Object.entries(operations).map(([method, operation]) =>
        requestOf(path, method.toUpperCase(), operation),
      ),
    ),
  );

const DEADLINE_MS = 10_000;
async function send({ method, url, headers, payload }: Request): Promise<LightMyRequestResponse> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no answer within ${DEADLINE_MS} ms`)), DEADLINE_MS);
  try {
    const asked = app.inject({
      method: method as 'GET',
      url,
      headers,
      ...(payload !== undefined && { payload }),
    });
    return await Promise.race([asked, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Whether the description foresees an answer with this status. */
const isDescribed = ({ path, method }: Request, status: number): boolean => {
  const responses = description.paths[path]?.[method.toLowerCase()]?.responses ?? {};
  return String(status) in responses || `${String(status).charAt(0)}XX` in responses;
};

describe('requests made from the description, and spoiled ones', () => {
  it('are answered as described, with {error, code} unless they succeed, and never with 5xx', async () => {
    const statuses = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(anyRequest(), async (request) => {
        const response = await send(request);
        const { statusCode } = response;
        const key = `${request.method} ${request.path} ${statusCode}`;
        statuses.set(key, (statuses.get(key) ?? 0) + 1);
        expect(statusCode).toBeLessThan(500);
        // A path parameter may spoil the path itself; then there is no such route.
        if (statusCode !== 404) expect(isDescribed(request, statusCode), key).toBe(true);
        if (statusCode >= 400) {
          const body = response.json<Record<string, unknown>>();
          expect(body).toEqual({
            error: expect.stringMatching(/./) as string,
            code: expect.stringMatching(/^[A-Z_]+$/) as string,
          });
        }
      }),
      { numRuns: 2000 },
    );
    // The generator reaches the handlers, not only the checks before them.
    for (const reached of [
      'POST /api/v1/me/ai-mission-grant 200',
      'POST /api/v1/me/ai-mission-grant 400',
      'POST /api/v1/me/ai-mission-grant 401',
      'GET /api/v1/me/ai-mission-grant/{missionId} 200',
      'DELETE /api/v1/me/ai-mission-grant/{missionId} 204',
      'GET /api/v1/me/ai-audit 200',
      'GET /api/v1/me/ai-audit 400',
      'GET /metrics 401',
      'POST /internal/tick 401',
      'GET /health 200',
      'GET /ready 200',
      `GET ${MISSION}/schedule 200`,
      `PUT ${MISSION}/schedule 200`,
      `PUT ${MISSION}/schedule 400`,
      `DELETE ${MISSION}/schedule 204`,
      `POST ${MISSION}/run 202`,
      `POST ${MISSION}/run 409`,
      `GET ${MISSION}/runs 200`,
      `GET ${MISSION}/runs 400`,
    ]) {
      expect(statuses.get(reached) ?? 0, `${reached} in ${JSON.stringify([...statuses])}`).toBeGreaterThan(0);
    }
  });

  it('a URL, method or header of any kind gets an answer in the same shape', async () => {
    const visible = fc.string({
      unit: fc.integer({ min: 33, max: 126 }).map((code) => String.fromCharCode(code)),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD'),
        visible,
        fc.constantFrom('/', '/api/', '/api/v1/me/', '/api/v1/me/ai-mission-grant', '/health', '/metrics'),
        async (method, suffix, prefix) => {
          const url = `${prefix}${suffix.replaceAll(/[\\#]/g, '')}`;
          const response = await send({
            method,
            path: url,
            url,
            headers: bearer(owner.token),
          });
          expect(response.statusCode).toBeLessThan(500);
          if (response.statusCode >= 400 && method !== 'HEAD') {
            expect(Object.keys(response.json<object>())).toEqual(['error', 'code']);
          }
        },
      ),
      { numRuns: 1000 },
    );
  });
});
