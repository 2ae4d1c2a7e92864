import { z } from 'zod';
import { FLAG_SIGN, type StoredIteration } from '#domain/wire/iteration.ts';
import type { PromptLanguage } from '#domain/base/language.ts';
import { instantMs } from '#domain/base/instant.ts';
import { spokenTime, type UserZone } from '#domain/base/local-time.ts';
import { visibleLine } from '#domain/base/text/prompt-text.ts';

/** How many earlier runs the model sees (docs/platform.md section 12). */
const SHOWN_ITERATIONS = 3;
const MAX_STEPS = 30;
const MAX_LINE_CHARS = 200;
const MAX_TEXT_CHARS = 800;

const text = z.string().catch('');

/** Iterations are written by many versions of the web app: what cannot be read is left out, never fatal. */
const iterationSchema = z.object({
  startedAt: text,
  overallStatus: text,
  summary: text,
  userFeedback: text,
  plan: z
    .array(
      z
        .object({ summary: text, status: text, intent: z.object({ toolName: text }).catch({ toolName: '' }) })
        .catch({ summary: '', status: '', intent: { toolName: '' } }),
    )
    .catch([]),
});

/** What became of a step or a run, in words; one that we do not know is shown as it is. */
type Statuses = Readonly<Record<string, string>>;

interface HistoryWording {
  readonly run: (startedAt: string, status: string) => string;
  readonly summary: string;
  readonly unknown: string;
  readonly note: string;
  readonly more: (steps: number) => string;
  readonly heldBack: string;
  readonly statuses: Statuses;
}

const WORDING: Readonly<Record<PromptLanguage, HistoryWording>> = {
  de: {
    run: (startedAt, status) => `Lauf vom ${startedAt}: ${status}`,
    summary: 'Zusammenfassung',
    unknown: 'unbekannt',
    note: 'Notiz',
    more: (steps) => `- und ${steps} weitere Schritte`,
    heldBack: 'zurückgehalten, weil verdächtig',
    statuses: {
      ...{ planned: 'noch offen', staged: 'wartet auf den Nutzer', approved: 'ausgeführt' },
      ...{ rejected: 'abgelehnt', skipped: 'übersprungen', failed: 'fehlgeschlagen' },
      ...{ running: 'läuft', 'awaiting-review': 'wartet auf den Nutzer' },
    },
  },
  en: {
    run: (startedAt, status) => `Run of ${startedAt}: ${status}`,
    summary: 'Summary',
    unknown: 'unknown',
    note: 'note',
    more: (steps) => `- and ${steps} more steps`,
    heldBack: 'held back as suspicious',
    statuses: {
      ...{ planned: 'still open', staged: 'waiting for the user', approved: 'done' },
      ...{ rejected: 'rejected', skipped: 'skipped', failed: 'failed' },
      ...{ running: 'running', 'awaiting-review': 'waiting for the user' },
    },
  },
};

/** The last three runs, newest first: where room is short, the oldest is cut. */
export const shownIterations = (iterations: readonly StoredIteration[]): StoredIteration[] =>
  iterations.slice(-SHOWN_ITERATIONS).reverse();

/** Of these runs: what was planned, and what became of each step. */
export const renderHistory = (
  iterations: readonly StoredIteration[],
  language: PromptLanguage,
  timeZone: UserZone,
): string =>
  shownIterations(iterations)
    .map((iteration) => {
      const read = iterationSchema.parse(iteration);
      const startedAt = shownStart(read.startedAt, language, timeZone);
      return renderIteration({ ...read, startedAt }, WORDING[language]);
    })
    .join('\n\n');

function shownStart(startedAt: string, language: PromptLanguage, timeZone: UserZone): string {
  const startedMs = instantMs(startedAt);
  return startedMs === null ? startedAt : spokenTime(startedMs, timeZone, language);
}

/** Those of them that the user said something to. */
export const withFeedback = (iterations: readonly StoredIteration[]): StoredIteration[] =>
  shownIterations(iterations).filter((iteration) => shownFeedback(iteration) !== '');

/** What the user said to these runs: one line each, so that nothing in one can pass for another. */
export const renderFeedback = (
  iterations: readonly StoredIteration[],
  language: PromptLanguage,
  timeZone: UserZone,
): string =>
  withFeedback(iterations)
    .map((iteration) => {
      const startedAt = shownStart(iterationSchema.parse(iteration).startedAt, language, timeZone);
      return `${visibleLine(startedAt, MAX_LINE_CHARS)}: ${shownFeedback(iteration)}`;
    })
    .join('\n');

/** The stored text of a line of `renderFeedback`, with what is invisible in it. */
export function rawFeedback(iteration: StoredIteration): string {
  const { startedAt, userFeedback } = iterationSchema.parse(iteration);
  return [startedAt, userFeedback].join('\n');
}

/** The stored texts that `renderHistory` shows of a run, as they are: with what is invisible in them. */
export function rawHistory(iteration: StoredIteration): string {
  const { startedAt, overallStatus, summary, plan } = iterationSchema.parse(iteration);
  const steps = plan
    .slice(0, MAX_STEPS)
    .filter((step) => !isHeldBack(step))
    .flatMap((step) => [step.status, step.intent.toolName, step.summary]);
  return [startedAt, overallStatus, withoutWarnings(summary), ...steps].join('\n');
}

/** What the model sees of the user's words on a run, if there is room for them. */
export const shownFeedback = (iteration: StoredIteration): string =>
  visibleLine(iterationSchema.parse(iteration).userFeedback, MAX_TEXT_CHARS);

/**
 * What was held back is not shown to the model again in its words, nor are our warnings that quote it: they would make this
 * run's history suspicious, its steps would be held back for that, and so on for ever.
 */
const isHeldBack = ({ status, summary }: { readonly status: string; readonly summary: string }): boolean =>
  status === 'staged' && summary.startsWith(FLAG_SIGN);

const withoutWarnings = (summary: string): string =>
  summary
    .split('\n\n')
    .filter((part) => !part.startsWith(FLAG_SIGN))
    .join('\n\n');

function renderIteration(iteration: z.infer<typeof iterationSchema>, wording: HistoryWording): string {
  const status = (stored: string): string =>
    stored === ''
      ? wording.unknown
      : Object.hasOwn(wording.statuses, stored)
        ? (wording.statuses[stored] ?? stored)
        : stored;
  const steps = iteration.plan.slice(0, MAX_STEPS).map((step) => {
    const name = step.intent.toolName === '' ? wording.note : step.intent.toolName;
    return isHeldBack(step)
      ? `- [${wording.heldBack}] ${visibleLine(name, MAX_LINE_CHARS)}`
      : visibleLine(`- [${status(step.status)}] ${name}: ${step.summary}`, MAX_LINE_CHARS);
  });
  const more = iteration.plan.length - steps.length;
  // One line, whatever the text.
  const line = (label: string, words: string): string[] =>
    words === '' ? [] : [`${label}: ${visibleLine(words, MAX_TEXT_CHARS)}`];
  return [
    visibleLine(wording.run(iteration.startedAt, status(iteration.overallStatus)), MAX_LINE_CHARS),
    ...line(wording.summary, withoutWarnings(iteration.summary)),
    ...steps,
    ...(more > 0 ? [wording.more(more)] : []),
  ].join('\n');
}
