import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Agent } from 'undici';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import {
  gate,
  hang,
  httpError,
  httpReply,
  replyWithText,
  reset,
  startScriptedGateway,
  type Script,
  type ScriptedGateway,
  type ScriptedResponse,
} from '#dev/scripted-gateway.ts';
import {
  GatewayDeniedError,
  GatewayRejectedError,
  GatewayUnavailableError,
  isGatewayFailure,
  type GatewayFailure,
} from '#domain/base/errors.ts';
import type { PlannerReply } from '#domain/planner/model/planner-reply.ts';
import { TOOL_CATALOG } from '#domain/planner/tools/tool-catalog.ts';
import { MAX_BODY_BYTES } from '#http/bounded-fetch.ts';
import { createGateway, encodeRequest, type CompletionRequest, type Gateway } from './gateway.ts';
import { noReply } from './gateway-errors.ts';
import { isCompletion, readReply } from './reply-schema.ts';

const SERVICE_KEY = 'key-of-the-gateway-test';
const PROVIDER_TEXT = 'PROVIDER-ECHOES-THE-PROMPT';
const request: CompletionRequest = {
  model: 'mana/reasoning',
  messages: [{ role: 'user', content: 'Plane die Woche' }],
  tools: [],
  toolChoice: 'auto',
};

const running: { close(): Promise<void> }[] = [];
afterEach(async () => {
  vi.unstubAllEnvs();
  await Promise.all(running.splice(0).map((server) => server.close()));
});

async function scripted(
  script: Script,
  timeoutMs = 10_000,
): Promise<{ server: ScriptedGateway; gateway: Gateway }> {
  const server = await startScriptedGateway({ serviceKey: SERVICE_KEY, script });
  running.push(server);
  return { server, gateway: createGateway({ baseUrl: server.url, serviceKey: SERVICE_KEY, timeoutMs }) };
}

async function complete(
  gateway: Gateway,
  signal: AbortSignal = new AbortController().signal,
): Promise<PlannerReply> {
  const raw = await gateway.complete(encodeRequest(request), { signal, idempotencyKey: 'run-1:round-1' });
  const reply = readReply(raw);
  if (reply === null) throw noReply();
  return reply;
}

const failureOf = async (gateway: Gateway): Promise<GatewayFailure> => {
  const error: unknown = await complete(gateway).then(
    () => new Error('got a reply'),
    (reason: unknown) => reason,
  );
  if (isGatewayFailure(error)) return error;
  throw error;
};

describe('vectors/planner.json', () => {
  const vectorsSchema = z.object({
    cases: z.array(
      z.object({
        name: z.string(),
        response: z
          .object({ status: z.number(), headers: z.record(z.string(), z.string()), body: z.unknown() })
          .optional(),
        failure: z.enum(['timeout', 'refused', 'reset']).optional(),
        expect: z.discriminatedUnion('outcome', [
          z.object({
            outcome: z.literal('reply'),
            content: z.string().nullable(),
            toolCalls: z.array(z.record(z.string(), z.unknown())),
            finishReason: z.string().nullable(),
            totalTokens: z.number(),
          }),
          z.object({
            outcome: z.literal('error'),
            kind: z.string().nullable(),
            retry: z.boolean().nullable(),
            minWaitMs: z.number().optional(),
          }),
        ]),
      }),
    ),
  });
  const { cases } = vectorsSchema.parse(
    JSON.parse(readFileSync(new URL('../test/vectors/planner.json', import.meta.url), 'utf8')),
  );

  test('the file holds 39 cases', () => expect(cases).toHaveLength(39));

  test.each(cases)('$name', async ({ response, failure, expect: expected }) => {
    const answer = (): ScriptedResponse => {
      if (response === undefined) return failure === 'reset' ? reset() : hang();
      const body = typeof response.body === 'string' ? response.body : JSON.stringify(response.body);
      return { kind: 'http', status: response.status, headers: response.headers, body };
    };
    const { server, gateway } = await scripted(answer, failure === 'timeout' ? 1_000 : 10_000);
    if (failure === 'refused') await server.close();

    if (expected.outcome === 'reply') {
      const reply = await complete(gateway);
      expect(reply.content ?? '').toBe(expected.content ?? '');
      expect(reply.toolCalls).toEqual(
        expected.toolCalls.map((call) => expect.objectContaining(call) as unknown),
      );
      expect(reply.finishReason).toBe(expected.finishReason);
      expect(reply.totalTokens).toBe(expected.totalTokens);
      expect(reply.resolvedModel).toBe(response?.headers['x-mana-llm-resolved'] ?? null);
      return;
    }
    const error = await failureOf(gateway);
    expect(error.problem.kind).toBe(expected.kind);
    if (expected.retry !== null)
      // Of keys that are not accepted the vector says that the very same try is in vain, which it is until they are mended.
      expect(error instanceof GatewayUnavailableError).toBe(expected.retry);
    if (expected.minWaitMs !== undefined)
      expect(error.problem.retryAfterMs).toBeGreaterThanOrEqual(expected.minWaitMs);
    expect(server.requests).toHaveLength(failure === 'refused' ? 0 : 1);
    // What was never sent was never charged.
    expect(error.problem.notSent === true).toBe(failure === 'refused');
  });
});

describe('the request', () => {
  test('has the shape of docs/platform.md section 10, both keys and the idempotency key', async () => {
    const { server, gateway } = await scripted([replyWithText('ok')]);
    const tool = TOOL_CATALOG.get('suggest_event');
    if (tool === undefined) throw new Error('the catalog is empty');
    const signal = new AbortController().signal;
    const bodyText = encodeRequest({ ...request, tools: [tool] });
    await gateway.complete(bodyText, { signal, idempotencyKey: 'run-1:round-1' });
    expect(server.requests[0]?.bodyText).toBe(bodyText);
    expect(server.requests[0]?.idempotencyKey).toBe('run-1:round-1');
    expect(server.requests[0]?.headerNames).toEqual(expect.arrayContaining(['authorization', 'x-api-key']));
    expect(JSON.parse(server.requests[0]?.bodyText ?? '')).toEqual({
      model: 'mana/reasoning',
      messages: request.messages,
      stream: false,
      temperature: 0.3,
      tool_choice: 'auto',
      tools: [
        {
          type: 'function',
          function: { name: tool.name, description: tool.description, parameters: tool.parameters },
        },
      ],
    });
  });

  test('names no tools and no tool choice when there are none', async () => {
    const { server, gateway } = await scripted([replyWithText('ok')]);
    await complete(gateway);
    expect(server.requests[0]?.bodyText).not.toContain('tool');
  });

  test('takes nothing from OPENAI_ variables and logs nothing', async () => {
    vi.stubEnv('OPENAI_LOG', 'debug');
    vi.stubEnv('OPENAI_BASE_URL', 'http://127.0.0.1:1/elsewhere');
    vi.stubEnv('OPENAI_ORG_ID', 'org-from-the-environment');
    const log = vi.spyOn(console, 'debug').mockImplementation(() => undefined);
    const { server, gateway } = await scripted([replyWithText('ok')]);
    await complete(gateway);
    expect(server.requests[0]?.headerNames).not.toContain('openai-organization');
    expect(log).not.toHaveBeenCalled();
    log.mockRestore();
  });

  test('a wrong service key is the operator’s', async () => {
    const { server } = await scripted([]);
    const error = await failureOf(createGateway({ baseUrl: server.url, serviceKey: 'another' }));
    expect(error).toBeInstanceOf(GatewayDeniedError);
    expect(error.problem.status).toBe(401);
    expect(server.refusedCount).toBe(1);
  });

  test('a service key that no header can carry is a final refusal that does not show the key', async () => {
    const error = await failureOf(
      createGateway({ baseUrl: 'http://127.0.0.1:1', serviceKey: 'secret\nkey' }),
    );
    expect(error).toBeInstanceOf(GatewayRejectedError);
    expect(JSON.stringify([error.message, error.stack, error.cause])).not.toContain('secret');
  });

  test('a redirect is not followed, so the key goes nowhere else', async () => {
    const other = await startScriptedGateway({ serviceKey: SERVICE_KEY, script: [] });
    running.push(other);
    const location = `${other.url}/v1/chat/completions`;
    const { gateway } = await scripted([httpReply(307, {}, { location })]);
    expect(await failureOf(gateway)).toBeInstanceOf(GatewayRejectedError);
    expect(other.requests.length + other.refusedCount).toBe(0);
  });
});

describe('errors', () => {
  test('hold no text of the provider, neither in message nor cause nor fields', async () => {
    const answers = [
      httpError(500, PROVIDER_TEXT),
      httpError(422, { kind: 'blocked', message: PROVIDER_TEXT }),
      httpError(422, { kind: PROVIDER_TEXT, message: 'x' }),
      httpReply(200, { choices: [], text: PROVIDER_TEXT }),
      httpReply(200, PROVIDER_TEXT),
      {
        kind: 'http',
        status: 200,
        headers: { 'content-type': 'application/json' },
        body: `{"${PROVIDER_TEXT}`,
      },
      { kind: 'http', status: 400, headers: {}, body: PROVIDER_TEXT },
    ] satisfies ScriptedResponse[];
    const { gateway } = await scripted(answers);
    for (const answer of answers) {
      const error = await failureOf(gateway);
      expect(error.cause, JSON.stringify(answer)).toBeUndefined();
      expect(JSON.stringify([error.message, error.stack, error])).not.toContain(PROVIDER_TEXT);
    }
  });

  test('the client itself never retries', async () => {
    const { server, gateway } = await scripted(() => httpError(503, 'busy', { 'x-should-retry': 'true' }));
    await failureOf(gateway);
    expect(server.requests).toHaveLength(1);
  });

  test('a 200 that is larger than any reply was paid for, and holds none', async () => {
    const { gateway } = await scripted([replyWithText('x'.repeat(MAX_BODY_BYTES))]);
    const options = { signal: new AbortController().signal, idempotencyKey: 'run-1:round-1' };
    const raw = await gateway.complete(encodeRequest(request), options);
    expect([isCompletion(raw), readReply(raw)]).toEqual([true, null]);
  });

  test('an error whose body is too large is what its status says', async () => {
    const large = 'x'.repeat(MAX_BODY_BYTES);
    const { gateway } = await scripted([httpError(422, large), httpError(503, large)]);
    expect(await failureOf(gateway)).toMatchObject({ code: 'GATEWAY_REJECTED', problem: { status: 422 } });
    expect(await failureOf(gateway)).toMatchObject({ code: 'GATEWAY_UNAVAILABLE', problem: { status: 503 } });
  });

  test('nothing but that timeout ends an exchange: Node’s own fetch would after 300 s without headers', async () => {
    const used: unknown[] = [];
    const gateway = createGateway({
      ...{ baseUrl: 'http://127.0.0.1:1', serviceKey: 'k', timeoutMs: 570_000 },
      fetch: (_input, init) => {
        used.push(init !== undefined && 'dispatcher' in init ? init.dispatcher : null);
        return Promise.resolve(new Response('{"choices":[]}'));
      },
    });
    const options = { signal: new AbortController().signal, idempotencyKey: 'run-1:round-1' };
    await gateway.complete(encodeRequest(request), options);
    // Of ours, which was made without limits of its own.
    expect(used).toEqual([expect.any(Agent)]);
  });

  test('the timeout covers a body that never ends', async () => {
    const server = createServer((_incoming, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write('{"choices":');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const gateway = createGateway({ baseUrl: `http://127.0.0.1:${port}`, serviceKey: 'k', timeoutMs: 100 });
    expect(await failureOf(gateway)).toBeInstanceOf(GatewayUnavailableError);
    server.close();
    server.closeAllConnections();
  });
});

describe('cancellation', () => {
  test('ends the HTTP request and surfaces as the reason of the signal', async () => {
    const { server, gateway } = await scripted([hang()]);
    const controller = new AbortController();
    const reason = new Error('the activity was cancelled');
    const completion = complete(gateway, controller.signal).catch((error: unknown) => error);
    await server.waitForHanging(1);
    controller.abort(reason);
    expect(await completion).toBe(reason);
    await server.waitForHanging(0);
  });

  test('before the request sends nothing', async () => {
    const { server, gateway } = await scripted([]);
    await expect(complete(gateway, AbortSignal.abort())).rejects.toThrow('aborted');
    expect(server.requests).toHaveLength(0);
  });

  test('an answer that was held back still arrives', async () => {
    const { open, hold } = gate();
    const { server, gateway } = await scripted([hold(replyWithText('spät'))]);
    const completion = complete(gateway);
    await server.waitForRequests(1);
    open();
    expect((await completion).content).toBe('spät');
  });
});
