import type { Asked, Facts } from './facts.ts';

/** A request, with what it says of itself. */
export interface RoundAsked extends Asked {
  readonly missionId: string;
  readonly round: number;
  readonly model: string;
  /** `<table>/<id>` of each encrypted record whose text it holds. */
  readonly opened: readonly string[];
}

const MISSION = /MISSION-([\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12})-/;
const OPENED = /MARK-KRAM-FAULT-SUITE-(aiMissions|notes)-([\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12})-END/g;

/** In the order of their arrival. */
export const roundsOf = (asked: readonly Asked[]): RoundAsked[] =>
  asked
    .map((each) => {
      const { model = '', messages = [] } = JSON.parse(each.body) as {
        model?: string;
        messages?: readonly { readonly role: string }[];
      };
      return {
        ...{ ...each, model, missionId: MISSION.exec(each.body)?.[1] ?? '' },
        round: 1 + messages.filter(({ role }) => role === 'assistant').length,
        opened: [
          ...new Set([...each.body.matchAll(OPENED)].map(([, table, id]) => `${table ?? ''}/${id ?? ''}`)),
        ],
      };
    })
    .toSorted((a, b) => a.askedAtMs - b.askedAtMs);

export interface Payments {
  /** Asked for again although the reply was kept: the money is lost. */
  readonly paidTwice: string[];
  /** Asked for again because nobody was left to keep the reply. */
  readonly repaid: string[];
  /** Those of them between whose two requests nothing happened that could have cost the reply. */
  readonly withoutFault: string[];
}

/**
 * @param iterationsOf how many iterations a mission has; each may pay for a round once
 * @param faultsAtMs when a process, a server or a connection was ended or disturbed
 */
export function paymentsOf(
  rounds: readonly RoundAsked[],
  usage: Facts['usage'],
  iterationsOf: (missionId: string) => number,
  faultsAtMs: readonly number[],
): Payments {
  const [paidTwice, repaid, withoutFault]: [string[], string[], string[]] = [[], [], []];
  const byRound = Map.groupBy(rounds, ({ missionId, round, model }) =>
    JSON.stringify([missionId, round, model]),
  );
  for (const [name, asked] of byRound) {
    const byKey = Map.groupBy(asked, ({ idempotencyKey }) => idempotencyKey);
    for (const again of byKey.values()) {
      for (const [index, request] of again.entries()) {
        const before = again.slice(0, index).filter(({ answeredAtMs }) => isBefore(answeredAtMs, request));
        if (before.length === 0) continue;
        const isKept = before.some(({ answeredAtMs }) =>
          usage.some(
            (row) =>
              row.missionId === request.missionId &&
              row.round === request.round &&
              row.recordedAtMs >= (answeredAtMs ?? Infinity) &&
              row.recordedAtMs < request.askedAtMs,
          ),
        );
        (isKept ? paidTwice : repaid).push(name);
        const firstAtMs = again[0]?.askedAtMs ?? 0;
        const hasFault = faultsAtMs.some((atMs) => atMs >= firstAtMs && atMs <= request.askedAtMs);
        if (!isKept && !hasFault) withoutFault.push(name);
      }
    }
    const answeredKeys = [...byKey.values()].filter((again) =>
      again.some(({ answeredAtMs }) => answeredAtMs !== null),
    );
    const allowed = Math.max(1, iterationsOf(asked[0]?.missionId ?? ''));
    for (let extra = allowed; extra < answeredKeys.length; extra += 1)
      paidTwice.push(`${name} under another key`);
  }
  return { paidTwice, repaid, withoutFault };
}

const isBefore = (answeredAtMs: number | null, { askedAtMs }: RoundAsked): boolean =>
  answeredAtMs !== null && answeredAtMs < askedAtMs;
