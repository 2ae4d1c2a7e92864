import type { PromptLanguage } from '#domain/base/language.ts';

/** What the model is told between rounds: nobody is there to answer it, so these say the little that has to be said. */
export interface ModelNotices {
  /** After words that were cut off at their length. */
  readonly continue: string;
  /** After the summary of earlier rounds. */
  readonly resume: string;
  /** After a reply that held nothing to act upon. */
  readonly empty: string;
  readonly refused: string;
  readonly callAsText: string;
}

export const MODEL_NOTICES: Readonly<Record<PromptLanguage, ModelNotices>> = {
  de: {
    continue:
      'Deine letzte Antwort ist abgebrochen. Fahre fort und fasse dich kürzer: Rufe die Werkzeuge auf, die noch fehlen, oder schließe mit wenigen Sätzen ab.',
    resume:
      'Das war die Zusammenfassung deiner bisherigen Runden. Fahre auf dieser Grundlage fort und wiederhole keine Schritte.',
    empty:
      'Deine letzte Antwort war leer. Rufe die Werkzeuge auf, die der Plan braucht, oder sage mit wenigen Sätzen, warum nichts nötig ist.',
    refused:
      'Du hast die Mission abgelehnt. Plane nur den Teil, den du übernehmen kannst, oder sage mit wenigen Sätzen, was dich hindert.',
    callAsText:
      'Deine letzte Antwort enthielt einen Werkzeugaufruf als Text. Er wurde nicht beachtet. Rufe das Werkzeug über die vorgesehene Schnittstelle auf, oder schließe mit wenigen Sätzen an den Nutzer ab.',
  },
  en: {
    continue:
      'Your last answer was cut off. Go on, and be brief: call the tools that are still missing, or close with a few sentences.',
    resume: 'That was the summary of your rounds so far. Go on from there, and do not repeat steps.',
    empty:
      'Your last answer was empty. Call the tools that the plan needs, or say in a few sentences why nothing is needed.',
    refused:
      'You declined the mission. Plan only the part that you can take on, or say in a few sentences what keeps you from it.',
    callAsText:
      'Your last answer held a tool call as text. It was ignored. Call the tool through the interface provided for it, or close with a few sentences to the user.',
  },
};

/** How many replies a summary stands for: the model has to know how many it has left. */
export const summarisedReplies = (language: PromptLanguage, replies: number): string =>
  language === 'de'
    ? `Sie steht für ${replies === 1 ? 'eine deiner Antworten' : `${replies} deiner Antworten`}.`
    : `It stands for ${replies === 1 ? 'one of your replies' : `${replies} of your replies`}.`;

/** Stands for a message of the model without words: some providers refuse one without content. */
export const NO_WORDS = '…';
/** The contract's answer to a call that became a step (docs/platform.md section 12). */
export const RECORDED = 'recorded';
/** To a call that repeats a step of an earlier iteration, which nobody has carried out or decided on yet. */
export const ALREADY_OPEN =
  'already open: an earlier run planned this very step and it still waits for the user; nothing was added';

/** Short ones could be the model's own. */
const MIN_ECHO_CHARS = 24;

/** Whole notices first, then their sentences. */
const ECHOES: readonly string[] = [
  ...Object.values(MODEL_NOTICES).flatMap((notices) => Object.values<string>({ ...notices })),
  ALREADY_OPEN,
]
  .flatMap((notice) => [notice, ...notice.split(/(?<=[.:])\s/)])
  .filter((echo) => echo.length >= MIN_ECHO_CHARS)
  .sort((a, b) => b.length - a.length);
const ANSWER_ECHO = /^[\s"'.,]*(?:recorded[\s"'.,]*)+$/i;

/** Small models repeat what they were told last: that is no word to the user, and looks like an injected instruction. */
export function withoutEchoes(words: string): string {
  const rest = ECHOES.reduce((text, echo) => text.replaceAll(echo, ''), words).trim();
  // "…" and "." say nothing either.
  return ANSWER_ECHO.test(rest) || !/[\p{L}\p{N}]/u.test(rest) ? '' : rest;
}
