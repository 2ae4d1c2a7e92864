/** What was seen of the service after an attack. */
export interface Observation {
  readonly processes: readonly ProcessSeen[];
  readonly victims: readonly {
    readonly name: string;
    /** Null: it never ran. */ readonly lateMs: number | null;
  }[];
  readonly missions: readonly MissionSeen[];
  readonly asked: readonly Asked[];
  readonly opened: readonly OpenedRecord[];
  /** Lines of `bin/yarn audit:verify`. */
  readonly auditProblems: readonly string[];
  /** `<where>: <what>`, with the name of the secret, not its text. */
  readonly leaks: readonly string[];
  /** Rows by table that runs must have left empty. */
  readonly leftovers: Readonly<Record<string, number>>;
  /** Runs that are under way when all should be at rest, with what each waits for. */
  readonly openRuns: readonly string[];
}

export interface ProcessSeen {
  readonly name: string;
  readonly hasEnded: boolean;
  /** How long `GET /health` took; null where it was not 200 within a second. */
  readonly healthMs: number | null;
}

export interface MissionSeen {
  readonly missionId: string;
  /** How often it was due or asked for, where its user is well-behaved; null where nobody can say. */
  readonly dueCount: number | null;
  /** Runs that ended with a plan or a failure. */
  readonly runsWithIteration: number;
  /** Runs that were ended on their way: those of them that had claimed their instant have an iteration that says so. */
  readonly runsCutShort: number;
  /** As the rows hold them that wrote them, each row's own. */
  readonly iterations: readonly Iteration[];
  /** What the array that stands lacks. */
  readonly losses: readonly string[];
  /** It reads data with marks. */
  readonly isInjected: boolean;
}

type Iteration = Readonly<Record<string, unknown>>;

/** A request that reached the gateway. */
export interface Asked {
  readonly idempotencyKey: string | null;
  readonly body: string;
  readonly askedAtMs: number;
  /** When the whole of a reply with status 200 was handed out; null: never. */
  readonly answeredAtMs: number | null;
  /** It held a plan or its end, so there was no reason to ask for it again under any key. */
  readonly isWellAnswered: boolean;
}

/** An encrypted record whose text reached the gateway. */
export interface OpenedRecord {
  readonly recordId: string;
  readonly seenAtMs: number;
  /** Of its audit row; null: there is none. */
  readonly auditedAtMs: number | null;
}

const VICTIM_WITHIN_MS = 10_000;

/** What breaks a promise of the service, in words; nothing where all hold. */
export const violationsIn = (seen: Observation): string[] => [
  ...seen.processes.flatMap(processViolations),
  ...seen.victims
    .filter(({ lateMs }) => lateMs === null || lateMs > VICTIM_WITHIN_MS)
    .map(
      ({ name, lateMs }) =>
        `victim ${name}: its iteration came ${lateMs ?? 'never; not even some'} ms after it was due`,
    ),
  ...seen.missions.flatMap(missionViolations),
  ...paidTwice(seen.asked),
  ...seen.opened
    .filter(({ seenAtMs, auditedAtMs }) => auditedAtMs === null || auditedAtMs > seenAtMs)
    .map(({ recordId }) => `record ${recordId}: opened without an earlier audit row`),
  ...seen.auditProblems.map((problem) => `audit: ${problem}`),
  ...seen.leaks.map((leak) => `leak: ${leak}`),
  ...Object.entries(seen.leftovers)
    .filter(([, count]) => count > 0)
    .map(([table, count]) => `${table}: ${count} rows are left at rest`),
  ...seen.openRuns.map((run) => `run ${run}: still under way`),
];

const processViolations = ({ name, hasEnded, healthMs }: ProcessSeen): string[] => [
  ...(hasEnded ? [`${name}: the process ended`] : []),
  ...(healthMs === null ? [`${name}: no health within a second`] : []),
];

/** What a run writes that was cancelled or stopped, or got no place, after it had claimed its instant. */
const CUT_SHORT_CODES: readonly unknown[] = ['run-cancelled', 'run-stopped', 'agent-busy'];
const codeOf = ({ overallStatus, errorDetails }: Iteration): string =>
  String((errorDetails as { readonly name?: unknown } | undefined)?.name ?? overallStatus);
const isCutShort = (iteration: Iteration): boolean => CUT_SHORT_CODES.includes(codeOf(iteration));

function missionViolations(mission: MissionSeen): string[] {
  const { dueCount, runsWithIteration, runsCutShort, iterations, losses, isInjected } = mission;
  const ids = iterations.map(({ id }) => id);
  const found: string[] = losses.map((loss) => `lost: ${loss}`);
  if (new Set(ids).size < ids.length) found.push('an iteration was written twice');
  const [cutShort, others] = [iterations.filter(isCutShort), iterations.filter((each) => !isCutShort(each))];
  if (others.length !== runsWithIteration)
    found.push(`${others.length} iterations of ${runsWithIteration} runs: ${others.map(codeOf).join(', ')}`);
  if (cutShort.length > runsCutShort)
    found.push(`${cutShort.length} iterations of ${runsCutShort} runs that were cut short`);
  if (dueCount !== null && iterations.length !== dueCount)
    found.push(`${iterations.length} iterations, due ${dueCount} times`);
  for (const iteration of iterations) {
    if (iteration['overallStatus'] === 'failed' && !saysWhy(iteration))
      found.push('a failure without a reason');
    found.push(...stepViolations(iteration, isInjected));
  }
  return found.map((text) => `mission ${mission.missionId}: ${text}`);
}

function saysWhy({ summary, errorDetails }: Iteration): boolean {
  const { name, message } = { name: undefined, message: undefined, ...(errorDetails as object | undefined) };
  return [summary, name, message].every((text) => typeof text === 'string' && text.trim() !== '');
}

/** The sign before a step that is held back, as the user reads it. */
const FLAG_SIGN = '⚠ ';

const stepViolations = ({ plan }: Iteration, isInjected: boolean): string[] =>
  (plan as readonly { readonly summary?: unknown; readonly status?: unknown }[])
    .filter(({ summary }) => isInjected || String(summary).startsWith(FLAG_SIGN))
    .filter(({ status }) => status === 'planned')
    .map(() => 'a flagged step is planned');

/** A key names one request; a reply that was handed out is never asked for again. */
function paidTwice(asked: readonly Asked[]): string[] {
  const inOrder = asked.toSorted((a, b) => a.askedAtMs - b.askedAtMs);
  const firstOfKey = new Map<string, Asked>();
  const answered = new Map<string, number>();
  const found: string[] = [];
  for (const request of inOrder) {
    const key = request.idempotencyKey;
    if (key === null) {
      found.push('a request without a key');
      continue;
    }
    const first = firstOfKey.get(key) ?? request;
    firstOfKey.set(key, first);
    if (first.body !== request.body) found.push(`key ${key}: other bytes under the same key`);
    for (const name of [`key ${key}`, request.body]) {
      if ((answered.get(name) ?? Infinity) < request.askedAtMs)
        found.push(`key ${key}: asked again after its reply`);
    }
    if (request.answeredAtMs === null) continue;
    answered.set(`key ${key}`, request.answeredAtMs);
    if (request.isWellAnswered) answered.set(request.body, request.answeredAtMs);
  }
  return [...new Set(found)];
}
