import { z } from 'zod';
import { httpUrl, nonEmpty, serviceKey } from '#config/variables.ts';
import { GatewayDeniedError, GatewayUnavailableError } from '#domain/base/errors.ts';
import { createGateway, encodeRequest } from '#llm/gateway.ts';
import { readReply } from '#llm/reply-schema.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** A gateway that exists already, in place of the scripted one. */
export interface OutsideGateway {
  /** `MANA_LLM_URL`, without `/v1`. */
  readonly url: string;
  readonly serviceKey: string;
  readonly model: string;
  /** Whatever else the environment says of the model, for the runner: `MANA_LLM_…`. */
  readonly settings: Readonly<Record<string, string>>;
}

const schema = z.object({
  MANA_LLM_URL: httpUrl,
  MANA_SERVICE_KEY: serviceKey,
  MANA_LLM_MODEL: nonEmpty('a model alias or provider/model').default('mana/reasoning'),
});

/**
 * The gateway that `MANA_LLM_URL`, `MANA_SERVICE_KEY` and `MANA_LLM_MODEL` name.
 *
 * @returns null without `MANA_LLM_URL`: then the scripted one plans
 * @throws Error that names every variable that cannot be used, without its value
 */
export function outsideGatewayOf(env: Env): OutsideGateway | null {
  const set = Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => (entry[1] ?? '') !== ''),
  );
  if (set['MANA_LLM_URL'] === undefined) return null;
  const parsed = schema.safeParse(set);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
    throw new Error(['the gateway to plan with cannot be used:', ...problems].join('\n  '));
  }
  const { MANA_LLM_URL: url, MANA_SERVICE_KEY: key, MANA_LLM_MODEL: model } = parsed.data;
  const more = Object.entries(set).filter(
    ([name]) => name.startsWith('MANA_LLM_') && name !== 'MANA_LLM_URL',
  );
  return {
    ...{ url, model, serviceKey: key },
    // Not every gateway knows the default one's alias.
    settings: { MANA_LLM_COMPACT_MODEL: model, ...Object.fromEntries(more), MANA_LLM_MODEL: model },
  };
}

/** A model that is loaded first may take its time; the product waits as long for a round. */
const PROBE_TIMEOUT_MS = 300_000;

/**
 * Asks for one word, so that a wrong address, key or model is told before anything is started.
 *
 * @returns `provider/model` that answered, as far as the gateway says so
 * @throws Error in words for whoever set the variables; nothing of the answer is in it
 */
export async function askForOneWord({ url, serviceKey: key, model }: OutsideGateway): Promise<string> {
  const gateway = createGateway({ baseUrl: url, serviceKey: key, timeoutMs: PROBE_TIMEOUT_MS });
  const messages = [{ role: 'user' as const, content: 'Reply with the word ok.' }];
  try {
    const raw = await gateway.complete(encodeRequest({ model, messages, tools: [] }), {
      signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
      idempotencyKey: crypto.randomUUID(),
    });
    if (readReply(raw) === null) throw new Error('the gateway answered, but with no completion');
    return raw.resolvedModel ?? model;
  } catch (error) {
    throw new Error(`${new URL(url).origin} (MANA_LLM_URL): ${problemOf(error)}`, { cause: error });
  }
}

function problemOf(error: unknown): string {
  if (error instanceof GatewayDeniedError)
    return `the gateway or its provider refused the key (status ${error.problem.status ?? 'none'}); check MANA_SERVICE_KEY`;
  if (error instanceof GatewayUnavailableError && error.problem.status === null)
    return 'nobody answers there; start the gateway, or check the address';
  if (error instanceof DOMException) return `no answer within ${PROBE_TIMEOUT_MS / 1000} s`;
  const words = error instanceof Error ? error.message : String(error);
  return `${words}; check MANA_LLM_URL and MANA_LLM_MODEL`;
}
