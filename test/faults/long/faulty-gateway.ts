import type { Random } from './random.ts';
import {
  hang,
  httpError,
  httpReply,
  reset,
  type RecordedRequest,
  type ScriptedResponse,
} from '#dev/scripted-gateway.ts';
import { logged, type LoggedScript } from '#test/support/checked-missions.ts';

export interface FaultyGateway {
  readonly gateway: LoggedScript;
  /** How often it misbehaved, by what it did. */
  readonly gatewayFaults: Readonly<Record<string, number>>;
  /** Answers well from now on, but for what it has said already. */
  readonly calmGateway: () => void;
}

const FAULTS = {
  '429': () => httpError(429, { kind: 'rate_limit', message: 'too many' }, { 'retry-after': '1' }),
  '500': () => httpError(500, 'Internal Server Error'),
  '503': () => httpError(503, { kind: 'no_healthy_provider', message: 'none' }),
  'half a reply': reset,
  nothing: hang,
  garbage: () => httpReply(200, 'garbage'),
} satisfies Readonly<Record<string, () => ScriptedResponse>>;
type Fault = keyof typeof FAULTS;

const FAULTY_SHARE = 0.15;
const SLOWEST_REPLY_MS = 600;

/**
 * The gateway of the long suite: 15 of 100 answers are of no use. It honours idempotency keys, as the product reckons with (ADR 12): what it
 * has said with 200 under a key it says again, be it garbage. Anything else may go wrong at any time.
 */
export function createFaultyGateway(random: Random): FaultyGateway {
  const gatewayFaults: Record<string, number> = {};
  const said = new Map<string, 'whole' | 'garbage'>();
  let isCalm = false;
  const chosen = (): Fault | 'whole' =>
    isCalm || random.next() >= FAULTY_SHARE
      ? 'whole'
      : random.pick(['429', '500', '503', 'half a reply', 'nothing', 'garbage']);
  const answerTo = ({ idempotencyKey }: RecordedRequest): Fault | 'whole' => {
    const answer = chosen();
    if (answer !== 'whole' && answer !== 'garbage') return answer;
    if (idempotencyKey === null) return answer;
    const standing = said.get(idempotencyKey) ?? answer;
    said.set(idempotencyKey, standing);
    return standing;
  };
  const gateway = logged(async (request) => {
    await new Promise((resolve) => setTimeout(resolve, random.between(20, SLOWEST_REPLY_MS)));
    const answer = answerTo(request);
    if (answer === 'whole') return null;
    gatewayFaults[answer] = (gatewayFaults[answer] ?? 0) + 1;
    return FAULTS[answer]();
  });
  return { gateway, gatewayFaults, calmGateway: () => void (isCalm = true) };
}
