import { masked } from '#logging/masked.ts';
import { messageOf } from './verb.ts';

/** `unchecked`: it cannot be looked at from this environment, or with what the server tells. */
export type FindingStatus = 'ok' | 'warning' | 'fault' | 'unchecked';

/** What one check came to. Key ids, names and counts; never a value of a secret. */
export interface Finding {
  readonly check: string;
  readonly status: FindingStatus;
  readonly found: string;
  /** What to do about it; null where there is nothing to do. */
  readonly advice: string | null;
}

/** One thing that is looked at. */
export interface DoctorCheck {
  readonly name: string;
  readonly look: () => Promise<Judgement | readonly Judgement[]>;
}
export type Judgement = Omit<Finding, 'check'> & {
  /** Where a look gives several findings. */
  readonly about?: string;
};

export const ok = (found: string): Judgement => ({ status: 'ok', found, advice: null });
export const warning = (found: string, advice: string): Judgement => ({ status: 'warning', found, advice });
export const fault = (found: string, advice: string): Judgement => ({ status: 'fault', found, advice });
export const unchecked = (found: string, advice: string | null = null): Judgement => ({
  status: 'unchecked',
  found,
  advice,
});

/** Longer than a connection may take; some looks take several calls. */
const LOOK_WITHIN_MS = 20_000;

/**
 * Makes a check, within its time. What it throws is a fault: the server's or driver's word, without what the environment
 * holds of secrets.
 *
 * @param secrets values that must not be printed, whoever quotes them
 */
export async function findingsOf(
  check: DoctorCheck,
  secrets: readonly string[],
  withinMs = LOOK_WITHIN_MS,
): Promise<Finding[]> {
  const judgements = await inTime(check, secrets, withinMs);
  return judgements.map(({ about, ...judgement }) => ({
    check: about === undefined ? check.name : `${check.name}: ${about}`,
    ...judgement,
  }));
}

async function inTime(
  check: DoctorCheck,
  secrets: readonly string[],
  withinMs: number,
): Promise<readonly Judgement[]> {
  const { promise: late, resolve } = Promise.withResolvers<readonly Judgement[]>();
  const timer = setTimeout(
    () =>
      resolve([
        fault(`no answer within ${withinMs / 1000} s`, 'see whether the service is up and reachable'),
      ]),
    withinMs,
  );
  try {
    return await Promise.race([looked(check, secrets), late]);
  } finally {
    clearTimeout(timer);
  }
}

async function looked(check: DoctorCheck, secrets: readonly string[]): Promise<readonly Judgement[]> {
  try {
    const found = await check.look();
    return 'status' in found ? [found] : found;
  } catch (error) {
    const text = masked(messageOf(error), secrets);
    return [fault(text, 'mend what this names, then run the doctor again')];
  }
}

const STATUS_WIDTH = 'unchecked'.length;

/** A finding as a line of text. */
export const lineOf = ({ status, check, found, advice }: Finding): string =>
  `${status.padEnd(STATUS_WIDTH)}  ${check}: ${found}${advice === null ? '' : ` -> ${advice}`}`;
