import type { ServerResponse } from 'node:http';
import type { RecordedRequest } from './recorded-request.ts';

export interface HttpAnswer {
  readonly kind: 'http';
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What the scripted gateway does with one request. */
export type ScriptedResponse =
  | HttpAnswer
  /** No answer until the client gives up. */
  | { readonly kind: 'hang' }
  /** The connection breaks in the middle of the body. */
  | { readonly kind: 'reset' };

export async function sendScripted(response: ServerResponse, answer: ScriptedResponse): Promise<void> {
  if (answer.kind === 'hang') return;
  if (answer.kind === 'http') {
    response.writeHead(answer.status, answer.headers).end(answer.body);
    return;
  }
  // Announces more than it sends; once that is out, the connection breaks.
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
  await new Promise((resolve) => response.write('{"id":"chatcmpl-scripted","choices":[', resolve));
  response.destroy();
}

export interface ScriptedCall {
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
  /** `call_<n>` by default; may be empty, as with the real gateway. */
  readonly id?: string;
}

const SCRIPTED_USAGE = { prompt_tokens: 100, completion_tokens: 20, total_tokens: 120 };

const completion = (
  message: Readonly<Record<string, unknown>>,
  finishReason: string,
  usage: Readonly<Record<string, number>>,
): ScriptedResponse =>
  httpReply(
    200,
    {
      id: 'chatcmpl-scripted',
      object: 'chat.completion',
      created: 1_770_000_000,
      model: 'scripted/planner',
      choices: [{ index: 0, message: { role: 'assistant', ...message }, finish_reason: finishReason }],
      usage,
    },
    { 'x-mana-llm-resolved': 'scripted/planner' },
  );

/** Any JSON answer. */
export const httpReply = (
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): HttpAnswer => ({
  kind: 'http',
  status,
  headers: { 'content-type': 'application/json', ...headers },
  body: JSON.stringify(body),
});

/** A final text: ends the run's rounds. */
export const replyWithText = (
  text: string,
  usage: Readonly<Record<string, number>> = SCRIPTED_USAGE,
): ScriptedResponse => completion({ content: text, tool_calls: null }, 'stop', usage);

/** Tool calls of one round. */
export const replyWithToolCalls = (
  calls: readonly ScriptedCall[],
  text: string | null = null,
  usage: Readonly<Record<string, number>> = SCRIPTED_USAGE,
): ScriptedResponse =>
  completion(
    {
      content: text,
      tool_calls: calls.map((call, index) => ({
        id: call.id ?? `call_${index + 1}`,
        type: 'function',
        function: { name: call.name, arguments: JSON.stringify(call.arguments) },
      })),
    },
    'tool_calls',
    usage,
  );

/** @param detail text, or `{kind, message}` (docs/platform.md section 10) */
export const httpError = (
  status: number,
  detail: string | { readonly kind: string; readonly message: string },
  headers?: Readonly<Record<string, string>>,
): HttpAnswer => httpReply(status, { detail }, headers);

export const hang = (): ScriptedResponse => ({ kind: 'hang' });
export const reset = (): ScriptedResponse => ({ kind: 'reset' });

/** Holds answers back until the test opens it, so that no test needs a timer. */
export interface Gate {
  readonly open: () => void;
  readonly hold: (response: ScriptedResponse) => Promise<ScriptedResponse>;
}

export function gate(): Gate {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  return { open: () => resolve(undefined), hold: (response) => promise.then(() => response) };
}

/**
 * The planner of the demo: one task in the first round, a closing text once the call is answered. Its texts repeat
 * nothing of the request, so a search for the user's texts finds none that came from here.
 */
export function demoPlanner({ body }: RecordedRequest): ScriptedResponse {
  const answered = body.messages.some((message) => message.role === 'tool');
  const offersTask = body.tools.some((tool) => tool.function.name === 'create_task');
  if (answered || !offersTask) return replyWithText('Ein nächster Schritt ist vorgeschlagen.');
  return replyWithToolCalls([
    { name: 'create_task', arguments: { title: 'Nächsten Schritt festlegen', priority: 'medium' } },
  ]);
}
