import { FLAG_SIGN, type PlanStep } from '#domain/wire/iteration.ts';
import { flagText } from './flag-texts.ts';
import { injectionMarksOf } from '#domain/planner/injection/injection-marks.ts';
import { knownUrlSet, markUnknownUrls } from '#domain/planner/injection/known-urls.ts';
import type { PromptLanguage } from '#domain/base/language.ts';
import { summaryOf } from './plan.ts';
import { cutAtWord } from '#domain/base/text/prompt-text.ts';
import { stepsOfRounds, type StoredRound, type FlaggedInput } from './stored-round.ts';
import { flaggedInputsText, noticeText, planText, unreadableInputsText, USER_TEXTS } from './user-texts.ts';

const MAX_NAMED_STEPS = 20;
const MAX_NAME_CHARS = 60;

/** Of the mission, as the first round found it; null when there was none. */
export const languageOfRounds = (rounds: readonly StoredRound[]): PromptLanguage | null =>
  rounds[0]?.language ?? null;

/**
 * What the user reads of a plan: the model's last words, then what it could not see, what looks injected, and what
 * happened on the way. Bounded: the model's words are, and lists name the first of many.
 */
export function summaryOfRounds(rounds: readonly StoredRound[], language: PromptLanguage): string {
  const steps = stepsOfRounds(rounds);
  const words =
    rounds
      // A reply with a flaw has no words to the user.
      .map(({ flaw, reply }) => (flaw === null ? summaryOf(reply) : null))
      .findLast((text) => text !== null) ?? null;
  const flaw = rounds.at(-1)?.flaw ?? null;
  const unreadable = rounds.flatMap((round) => round.unreadableInputs);
  const flagged = rounds.flatMap((round) => round.flaggedInputs);
  const known = knownUrlSet(rounds.flatMap((round) => round.knownUrls));
  const texts = USER_TEXTS[language];
  return [
    words === null
      ? [planText(language, steps.length), ...(isSilent(rounds, steps) ? [texts.silent] : [])].join(' ')
      : markUnknownUrls(words, known, `[${texts.unknownUrl}]`),
    words !== null && injectionMarksOf(words).length > 0 ? texts.flaggedSummary : '',
    unreadable.length === 0 ? '' : unreadableInputsText(language, unreadable),
    flagged.length === 0 ? '' : flaggedInputsText(language, distinctSources(flagged)),
    flaggedStepsText(steps, language),
    flaw === null ? '' : texts.flawedEnd[flaw],
    ...distinct(rounds.flatMap((round) => round.notices).map((notice) => noticeText(language, notice))),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

/** A plan without a word, and nothing said below that tells why. */
function isSilent(rounds: readonly StoredRound[], steps: readonly PlanStep[]): boolean {
  const last = rounds.at(-1);
  return steps.length > 0 && last !== undefined && last.flaw === null && last.notices.length === 0;
}

/** A record may be flagged in the prompt, and again when a tool read it. */
const distinctSources = (sources: readonly FlaggedInput[]): FlaggedInput[] => [
  ...new Map(sources.map((source) => [`${source.table}:${source.id}`, source])).values(),
];

const distinct = (texts: readonly string[]): string[] => [...new Set(texts)];

/** Which steps no device carries out, by their place in the plan and their words, and why. */
function flaggedStepsText(steps: readonly PlanStep[], language: PromptLanguage): string {
  const reasons = steps.flatMap(({ flags = [], summary }, index) => {
    const words = flags.map((flag) => flagText(language, flag)).filter((text) => text !== null);
    return words.length === 0
      ? []
      : [
          `${USER_TEXTS[language].namedStep(index + 1, cutAtWord(summary, MAX_NAME_CHARS, '…'))} ${words.join(', ')}`,
        ];
  });
  if (reasons.length === 0) return '';
  const more = reasons.length - MAX_NAMED_STEPS;
  const texts = USER_TEXTS[language];
  return texts.flaggedSteps(
    [...reasons.slice(0, MAX_NAMED_STEPS), ...(more > 0 ? [texts.andMore(more)] : [])].join('; '),
  );
}

/**
 * Steps as they stand on the wire. Devices carry out `planned` ones unseen (docs/platform.md section 2), so one that bears a flag
 * is `staged`. Flags themselves are no part of the contract: their sign is in the summary.
 */
export const wireSteps = (steps: readonly PlanStep[]): PlanStep[] =>
  steps.map(({ flags = [], ...step }) =>
    flags.length === 0 ? step : { ...step, summary: FLAG_SIGN + step.summary, status: 'staged' },
  );
