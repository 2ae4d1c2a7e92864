/** Whether a process can do its work now, and what stands in its way: `ok` or a code for each thing that it needs. */
export interface Readiness {
  readonly ok: boolean;
  readonly status: 'ok' | 'unavailable';
  readonly checks: Readonly<Record<string, string>>;
}

/** Resolves to `ok`, `ok, <what is worth knowing>`, or what is wrong; what it throws counts as no answer. */
export type Check = () => Promise<string>;

/** A probe gives up after a few seconds, and wants to know why before that. */
const CHECK_WITHIN_MS = 2_000;

/**
 * Makes all checks at once, each within `timeoutMs`. While one is silent, further calls wait for the same question: frequent
 * probes must not use up what is asked.
 */
export function createReadiness(
  checks: Readonly<Record<string, Check>>,
  timeoutMs = CHECK_WITHIN_MS,
): () => Promise<Readiness> {
  const probes = Object.entries(checks).map(
    ([name, check]) => [name, createProbe(check, timeoutMs)] as const,
  );
  return async () => {
    const answers = await Promise.all(probes.map(async ([name, probe]) => [name, await probe()] as const));
    const ok = answers.every(([, answer]) => isFine(answer));
    return { ok, status: ok ? 'ok' : 'unavailable', checks: Object.fromEntries(answers) };
  };
}

const isFine = (answer: string): boolean => answer === 'ok' || answer.startsWith('ok, ');

function createProbe(check: Check, timeoutMs: number): Check {
  let asked: Promise<string> | null = null;
  return async () => {
    asked ??= check().catch(() => 'no answer');
    const current = asked;
    void current.then(() => {
      if (asked === current) asked = null;
    });
    return within(current, timeoutMs);
  };
}

async function within(answer: Promise<string>, timeoutMs: number): Promise<string> {
  const { promise: timedOut, resolve } = Promise.withResolvers<string>();
  const timer = setTimeout(() => resolve('no answer'), timeoutMs);
  try {
    return await Promise.race([answer, timedOut]);
  } finally {
    clearTimeout(timer);
  }
}
