import type { Config } from '#config.ts';
import { probeGateway } from '#llm/gateway-probe.ts';
import { fault, ok, unchecked, warning, type DoctorCheck, type Judgement } from '../finding.ts';

const WITHIN_MS = 8_000;
const HTTP_OK = 200;

/** What the processes call over HTTP, asked for nothing that costs. */
export function neighbourChecks(configs: readonly Config[]): DoctorCheck[] {
  const runner = configs.find((config) => 'runner' in config)?.runner;
  const api = configs.find((config) => 'api' in config)?.api;
  return [
    { name: 'gateway', look: () => gateway(runner?.gateway) },
    { name: 'user tokens', look: () => keysOfTokens(api?.identity.jwksUrl) },
  ];
}

async function gateway(settings: Config<'runner'>['runner']['gateway'] | undefined): Promise<Judgement> {
  if (settings === undefined)
    return unchecked('the runner cannot be judged here, and nobody else may know the key');
  const { url, serviceKey } = settings;
  const probed = await reached('MANA_LLM_URL', () =>
    probeGateway({ baseUrl: url, serviceKey, timeoutMs: WITHIN_MS }),
  );
  if ('judgement' in probed) return probed.judgement;
  const { key, status } = probed.answer;
  if (key === 'denied')
    return fault(
      `answers, and refuses MANA_SERVICE_KEY (${status})`,
      'give the runner the key that the gateway knows',
    );
  if (key === 'unwell')
    return warning(
      `answers with an error of its own (${status})`,
      'look at the gateway; runs wait for it for two hours',
    );
  return key === 'accepted'
    ? ok('answers, and accepts MANA_SERVICE_KEY')
    : ok(
        `answers; it lists no models (${status}), so whether it accepts MANA_SERVICE_KEY shows with the first round`,
      );
}

async function keysOfTokens(jwksUrl: string | undefined): Promise<Judgement> {
  if (jwksUrl === undefined) return unchecked('the API cannot be judged here');
  const asked = await reached('MANA_AUTH_URL', async () => {
    const response = await fetch(jwksUrl, { redirect: 'error', signal: AbortSignal.timeout(WITHIN_MS) });
    return { status: response.status, keys: response.ok ? keysIn(await response.json()) : 0 };
  });
  if ('judgement' in asked) return asked.judgement;
  const { status, keys } = asked.answer;
  if (status !== HTTP_OK)
    return fault(`/api/v1/auth/jwks answers ${status}`, 'see that MANA_AUTH_URL is the address of mana-auth');
  return keys > 0
    ? ok(`mana-auth shows ${keys} keys by which user tokens are checked`)
    : fault(
        'mana-auth shows no key by which user tokens could be checked',
        'see that MANA_AUTH_URL is the address of mana-auth',
      );
}

function keysIn(body: unknown): number {
  const keys = typeof body === 'object' && body !== null && 'keys' in body ? body.keys : null;
  return Array.isArray(keys) ? keys.length : 0;
}

/** `fetch` says "fetch failed" of everything, and why in its cause, which names host and port. */
async function reached<Answer>(
  variable: string,
  ask: () => Promise<Answer>,
): Promise<{ readonly answer: Answer } | { readonly judgement: Judgement }> {
  try {
    return { answer: await ask() };
  } catch {
    return {
      judgement: fault(
        'nobody answers in an orderly way',
        `see that ${variable} is right, and that the service is up`,
      ),
    };
  }
}
