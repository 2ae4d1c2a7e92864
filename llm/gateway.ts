import { OpenAI } from 'openai';
import { Agent } from 'undici';
import type { ChatCompletionCreateParamsNonStreaming } from 'openai/resources/chat/completions';
import type { ChatMessage } from '#domain/planner/plan/conversation.ts';
import { toGatewayTool, type ToolDefinition } from '#domain/planner/tools/tool-catalog.ts';
import { BodyTooLargeError, boundedFetch } from '#http/bounded-fetch.ts';
import { senderClockMs } from '#http/replies.ts';
import { failureOfStatus, GatewayStatusError, toGatewayFailure } from './gateway-errors.ts';
import type { RawReply } from './reply-schema.ts';

export interface GatewayOptions {
  /** `MANA_LLM_URL`, without `/v1`. */
  readonly baseUrl: string;
  readonly serviceKey: string;
  /** For one whole exchange, body included. */
  readonly timeoutMs?: number;
  /** For tests; Node's own by default. */
  readonly fetch?: typeof fetch;
}

export interface CompletionRequest {
  /** An alias such as `mana/reasoning`, or `provider/model`. */
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  readonly tools: readonly ToolDefinition[];
  /** `none`: the tools are told of, and not to be called any more. `auto` by default. */
  readonly toolChoice?: 'auto' | 'none';
  /** Of the reply (`max_tokens`); as the gateway has it where absent. */
  readonly maxTokens?: number;
}

export interface CompletionOptions {
  /** Ends the HTTP request; its reason is what `complete` then throws. */
  readonly signal: AbortSignal;
  /** The same for every try of one round, so that a gateway which honours it charges once. */
  readonly idempotencyKey: string;
  /** Awaited when the request has its place, right before it is sent: what it throws is thrown, and nothing was sent. */
  readonly lastLook?: () => Promise<void>;
}

export interface Gateway {
  /** What one exchange may take; not known of every gateway. */
  readonly timeoutMs?: number;
  /**
   * Asks the model once; retries are Temporal's. What came is given back as it came, so that it can be kept before anything
   * is read into it (`readReply`): it is paid for by then.
   *
   * @param bodyText of `encodeRequest`; these very bytes are sent
   * @throws GatewayUnavailableError when another try later may help
   * @throws GatewayRejectedError when the same request would get the same answer
   * @throws the signal's reason when the signal ended the request
   * @see docs/platform.md section 10
   */
  complete(bodyText: string, options: CompletionOptions): Promise<RawReply>;
}

/** A reply that was paid for and is too large to be read stands for one without a message: it is asked for once more. */
const TOO_LARGE: RawReply = { bodyText: '{"choices":[]}', resolvedModel: null };

const DEFAULT_TIMEOUT_MS = 300_000;
const TEMPERATURE = 0.3;

export function createGateway(options: GatewayOptions): Gateway {
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const client = createClient({ ...options, timeoutMs });
  return {
    timeoutMs,
    async complete(bodyText, { signal, idempotencyKey }) {
      try {
        const response = await client
          .post('/chat/completions', {
            ...{ body: bodyText, signal },
            // With a media type of its own the client sends a text as it is.
            headers: { 'Content-Type': 'application/json', 'Idempotency-Key': idempotencyKey },
          })
          .asResponse();
        return {
          bodyText: await response.text(),
          resolvedModel: response.headers.get('x-mana-llm-resolved'),
        };
      } catch (error) {
        signal.throwIfAborted();
        // The client wraps what its fetch threw.
        if (error instanceof Error && error.cause instanceof BodyTooLargeError) return TOO_LARGE;
        throw toGatewayFailure(error);
      }
    },
  };
}

/** The maintained client, with everything switched off that it would take from the environment or do by itself. */
function createClient(options: GatewayOptions & { readonly timeoutMs: number }): OpenAI {
  return new GatewayClient({
    baseURL: `${options.baseUrl.replace(/(?<!\/)\/+$/, '')}/v1`,
    apiKey: options.serviceKey,
    adminAPIKey: null,
    organization: null,
    project: null,
    webhookSecret: null,
    // A Bearer token alone gets 401; the gateway wants both.
    defaultHeaders: { 'X-API-Key': options.serviceKey },
    maxRetries: 0,
    timeout: options.timeoutMs,
    // At "debug", which OPENAI_LOG could set, the client logs prompts and replies.
    logLevel: 'off',
    fetch: boundedFetch(options.fetch ?? globalThis.fetch),
    // Following a redirect would hand the X-API-Key header and the prompt to wherever it points.
    // Node's own fetch gives up after 300 s without headers, whatever was set; the timeout above ends the exchange.
    fetchOptions: { redirect: 'manual', dispatcher: new Agent({ headersTimeout: 0, bodyTimeout: 0 }) },
  });
}

class GatewayClient extends OpenAI {
  protected override makeStatusError(
    status: number,
    body: object | undefined,
    text: string | undefined,
    headers: Headers,
  ): GatewayStatusError {
    const failure = failureOfStatus({
      status,
      body,
      bodyIsText: text !== undefined && text !== '',
      retryAfter: headers.get('retry-after'),
      nowMs: senderClockMs(headers),
    });
    return new GatewayStatusError(failure, headers);
  }
}

/** `max_tokens` is what gateways of OpenAI's shape take; the newer name is OpenAI's own. */
type RequestParams = Omit<ChatCompletionCreateParamsNonStreaming, 'max_tokens'> & { max_tokens?: number };

/** The body of a request. The same request always gives the same text. */
export const encodeRequest = (request: CompletionRequest): string => JSON.stringify(toParams(request));

const toParams = ({
  model,
  messages,
  tools,
  toolChoice = 'auto',
  maxTokens,
}: CompletionRequest): RequestParams => ({
  model,
  messages: [...messages],
  stream: false,
  temperature: TEMPERATURE,
  ...(maxTokens === undefined ? {} : { max_tokens: maxTokens }),
  // An empty list of tools is refused by some providers.
  ...(tools.length === 0 ? {} : { tools: tools.map(toGatewayTool), tool_choice: toolChoice }),
});
