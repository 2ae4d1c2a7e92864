import { failureText, knownFailureText } from '#domain/run/failure-texts.ts';
import type { PromptLanguage } from '#domain/base/language.ts';
import type { ReplyFlaw } from './reply-flaw.ts';
import type { Notice } from './stored-round.ts';
import { unreadableReasonText } from '#domain/run/run-inputs.ts';

/**
 * What users read besides the model's own words, in the language of the mission. Inputs are named by their ids only:
 * those stand in clear in the mission as well.
 */
interface UserTexts {
  /** Where the model planned without a closing word. */
  readonly plan: (steps: number) => string;
  /** Said besides, where nothing else tells why. */
  readonly silent: string;
  /** Its budget is 0 (docs/platform.md section 3). */
  readonly agentIsStopped: string;
  /** A mission without an agent: `DEFAULT_TOKENS_PER_DAY` is used up. */
  readonly noBudgetWithoutAgent: string;
  readonly unreadable: (inputs: string) => string;
  /** Of inputs that no device passes on: there is nothing to look for in the app. */
  readonly notSynced: (inputs: string) => string;
  readonly flaggedInputs: (inputs: string) => string;
  /** A step by its place in the plan and its own words; what is wrong with it follows. */
  readonly namedStep: (place: number, words: string) => string;
  readonly flaggedSteps: (steps: string) => string;
  readonly unknownUrl: string;
  /** A browser has run the mission for the same instant. */
  readonly ranElsewhere: string;
  readonly flaggedSummary: string;
  /** Where a plan ends with a reply that was none. */
  readonly flawedEnd: Readonly<Record<ReplyFlaw, string>>;
  readonly andMore: (count: number) => string;
  readonly sources: Readonly<Record<'agents' | 'iterations' | 'research', string>>;
  readonly grantEndsFirst: (expiresAt: string, nextRunAt: string) => string;
  readonly notice: (notice: Notice, format: (figure: number) => string) => string;
}

const de: UserTexts = {
  plan: (steps) => {
    if (steps === 0) return 'Es gab nichts zu planen.';
    return steps === 1 ? 'Ein Schritt ist geplant.' : `${steps} Schritte sind geplant.`;
  },
  silent: 'Die KI hat dazu nichts geschrieben.',
  noBudgetWithoutAgent:
    'Diese Mission hat keinen Agenten, und das Token-Budget für alle deine Missionen ohne Agent (24 Stunden) ist aufgebraucht. Sie läuft wieder, sobald Budget frei ist; oder gib ihr in der App einen Agenten.',
  agentIsStopped:
    'Der Agent dieser Mission ist angehalten: Sein Token-Budget steht auf 0. Erhöhe es in den Einstellungen des Agenten, dann läuft die Mission beim nächsten Termin.',
  unreadable: (inputs) =>
    `Nicht lesbar und daher nicht berücksichtigt: ${inputs}. Prüfe in der App, ob es diese Einträge noch gibt und ob die Freigabe sie einschließt.`,
  notSynced: (inputs) =>
    `Nicht berücksichtigt, weil die App diese Einträge bisher auf dem Gerät behält: ${inputs}. Du musst nichts tun.`,
  flaggedInputs: (inputs) =>
    `⚠ Diese Quellen enthalten Text, der wie eine Anweisung an die KI aussieht: ${inputs}. Er wurde als Daten behandelt; was danach geplant wurde, führt kein Gerät aus.`,
  namedStep: (place, words) => `Schritt ${place} („${words}“)`,
  flaggedSteps: (steps) =>
    `⚠ Zurückgehalten, kein Gerät führt es aus: ${steps}. Was davon du willst, erledige selbst in der App.`,
  unknownUrl: '⚠ unbekannte Adresse',
  ranElsewhere: 'Die App hat diesen Termin übernommen; hier wurde nichts geplant.',
  flaggedSummary:
    '⚠ Auch der Text der KI oben sieht nach einer eingeschleusten Anweisung aus. Folge ihm nicht ungeprüft.',
  flawedEnd: {
    'provider-error':
      'Der KI-Anbieter hat die Planung mit einem Fehler beendet; der Plan kann unvollständig sein.',
    refused: 'Die KI hat es abgelehnt weiterzuplanen; der Plan kann unvollständig sein.',
    'call-as-text':
      'Die KI hat einen weiteren Schritt nicht richtig aufgerufen; der Plan kann unvollständig sein.',
    empty: 'Die KI hat weitere Schritte angekündigt, die nicht ankamen; der Plan kann unvollständig sein.',
  },
  andMore: (count) => `und ${count} weitere`,
  sources: { agents: 'Gedächtnis des Agenten', iterations: 'früherer Lauf', research: 'Recherche' },
  grantEndsFirst: (expiresAt, nextRunAt) =>
    `Die Freigabe dieser Mission endet am ${expiresAt} und damit vor dem nächsten Termin am ${nextRunAt}. Öffne die Mission in der App und erneuere die Freigabe, damit sie auch dann im Hintergrund läuft.`,
  notice: (notice, format) => {
    switch (notice.kind) {
      case 'content-filtered':
        return 'Der KI-Anbieter hat einen Teil seiner Antwort zurückgehalten (Inhaltsfilter); der Plan kann unvollständig sein.';
      case 'cut-off':
        return 'Die Antwort der KI wurde wegen ihrer Länge abgeschnitten; der Plan kann unvollständig sein.';
      case 'rounds-used-up':
        return 'Die KI ist mit allen Antworten, die sie in einem Lauf geben darf, zu keinem Ende gekommen; geplant ist, was bis dahin feststand.';
      case 'repeats':
        return 'Die KI hat sich nur noch wiederholt; die Planung endete deshalb hier.';
      case 'plan-full':
        return 'Der Plan ist voll: Mehr Schritte hatten darin keinen Platz. Sie können beim nächsten Lauf folgen.';
      case 'still-open':
        return 'Die KI hat auch vorgeschlagen, was aus einem früheren Lauf noch offen ist; das wurde nicht noch einmal geplant.';
      case 'budget':
        return notice.usedTokens >= notice.maxTokens
          ? `Das Token-Budget ist aufgebraucht (${format(notice.usedTokens)} von ${format(notice.maxTokens)} in 24 Stunden); der Plan endet deshalb hier.`
          : `Das Token-Budget ist bald aufgebraucht: ${format(notice.usedTokens)} von ${format(notice.maxTokens)} in 24 Stunden.`;
      case 'unknown-spend':
        return `Der Verbrauch einer abgebrochenen Runde ist unbekannt und wurde mit ${format(notice.estimatedTokens)} Tokens geschätzt.`;
      case 'research-failed':
        return notice.research === 'deep'
          ? 'Die tiefe Recherche kam nicht zustande; der Plan entstand ohne sie.'
          : 'Die Recherche kam nicht zustande; der Plan entstand ohne sie.';
      case 'dropped-steps':
        return notice.count === 1
          ? 'Ein Schritt wurde verworfen, weil er nach einer eingeschleusten Anweisung aussah.'
          : `${format(notice.count)} Schritte wurden verworfen, weil sie nach eingeschleusten Anweisungen aussahen.`;
      case 'cut-short':
        return `Der Plan ist unvollständig, denn eine spätere Runde kam nicht zustande. ${knownFailureText('de', notice.code)}`.trim();
    }
  },
};

const en: UserTexts = {
  plan: (steps) => {
    if (steps === 0) return 'There was nothing to plan.';
    return steps === 1 ? 'One step is planned.' : `${steps} steps are planned.`;
  },
  silent: 'The AI wrote nothing about it.',
  noBudgetWithoutAgent:
    'This mission has no agent, and the token budget of all your missions without an agent (24 hours) is used up. It runs again as soon as there is budget; or give it an agent in the app.',
  agentIsStopped:
    'The agent of this mission is stopped: its token budget is 0. Raise it in the settings of the agent; the mission then runs when it is next due.',
  unreadable: (inputs) =>
    `Could not be read and was not taken into account: ${inputs}. Check in the app whether these entries still exist and whether the access you granted covers them.`,
  notSynced: (inputs) =>
    `Not taken into account, because the app keeps these entries on the device so far: ${inputs}. You need not do anything.`,
  flaggedInputs: (inputs) =>
    `⚠ These sources hold text that looks like an instruction to the AI: ${inputs}. It was treated as data; no device carries out what was planned after reading it.`,
  namedStep: (place, words) => `step ${place} (“${words}”)`,
  flaggedSteps: (steps) =>
    `⚠ Held back, no device carries it out: ${steps}. Do in the app yourself what you want of it.`,
  unknownUrl: '⚠ unknown address',
  ranElsewhere: 'The app has run the mission for this instant; nothing was planned here.',
  flaggedSummary:
    "⚠ The AI's own words above look like an injected instruction, too. Do not follow them unchecked.",
  flawedEnd: {
    'provider-error': 'The AI provider ended the planning with an error; the plan may be incomplete.',
    refused: 'The AI declined to plan any further; the plan may be incomplete.',
    'call-as-text': 'The AI did not call a further step correctly; the plan may be incomplete.',
    empty: 'The AI announced further steps that never came; the plan may be incomplete.',
  },
  andMore: (count) => `and ${count} more`,
  sources: { agents: "the agent's memory", iterations: 'earlier run', research: 'research' },
  grantEndsFirst: (expiresAt, nextRunAt) =>
    `The access granted to this mission ends on ${expiresAt}, before it is next due on ${nextRunAt}. Open the mission in the app and renew the access, so that it runs in the background then, too.`,
  notice: (notice, format) => {
    switch (notice.kind) {
      case 'content-filtered':
        return 'The AI provider held part of its answer back (content filter); the plan may be incomplete.';
      case 'cut-off':
        return "The AI's answer was cut off because of its length; the plan may be incomplete.";
      case 'rounds-used-up':
        return 'The AI came to no end with all the replies that it may give in a run; what was settled by then is planned.';
      case 'repeats':
        return 'The AI did nothing but repeat itself; planning ended here for that reason.';
      case 'plan-full':
        return 'The plan is full: further steps had no room in it. They may follow with the next run.';
      case 'still-open':
        return 'The AI also proposed what is still open from an earlier run; that was not planned again.';
      case 'budget':
        return notice.usedTokens >= notice.maxTokens
          ? `The token budget is used up (${format(notice.usedTokens)} of ${format(notice.maxTokens)} in 24 hours); the plan ends here for that reason.`
          : `The token budget is nearly used up: ${format(notice.usedTokens)} of ${format(notice.maxTokens)} in 24 hours.`;
      case 'unknown-spend':
        return `What an interrupted round used is unknown; it was estimated at ${format(notice.estimatedTokens)} tokens.`;
      case 'research-failed':
        return notice.research === 'deep'
          ? 'There was no deep research this time; the plan was made without it.'
          : 'There was no research this time; the plan was made without it.';
      case 'dropped-steps':
        return notice.count === 1
          ? 'One step was dropped because it looked like an injected instruction.'
          : `${format(notice.count)} steps were dropped because they looked like injected instructions.`;
      case 'cut-short':
        return `The plan is incomplete, since a later round did not come about. ${knownFailureText('en', notice.code)}`.trim();
    }
  },
};

export const USER_TEXTS: Readonly<Record<PromptLanguage, UserTexts>> = { de, en };

export const planText = (language: PromptLanguage, steps: number): string => USER_TEXTS[language].plan(steps);

interface NamedSource {
  readonly table: string;
  readonly id: string;
}
const MAX_NAMED = 20;

const named = <T extends NamedSource>(
  language: PromptLanguage,
  items: readonly T[],
  name: (item: T) => string,
): string => {
  const more = items.length - MAX_NAMED;
  const names = items.slice(0, MAX_NAMED).map(name);
  return [...names, ...(more > 0 ? [USER_TEXTS[language].andMore(more)] : [])].join(', ');
};

/** Ids are free text of a device's. */
const MAX_ID_CHARS = 80;
const recordName = ({ table, id }: NamedSource): string => `${table}:${id}`.slice(0, MAX_ID_CHARS);

/** Inputs that the plan could not take into account, each with its reason. */
export function unreadableInputsText(
  language: PromptLanguage,
  inputs: readonly (NamedSource & { readonly reason: string })[],
): string {
  const texts = USER_TEXTS[language];
  const notSynced = inputs.filter(({ reason }) => reason === 'not-synced');
  const others = inputs.filter(({ reason }) => reason !== 'not-synced');
  const nameWithReason = (input: (typeof inputs)[number]): string =>
    `${recordName(input)} (${unreadableReasonText(language, input.reason)})`;
  return [
    ...(others.length === 0 ? [] : [texts.unreadable(named(language, others, nameWithReason))]),
    ...(notSynced.length === 0 ? [] : [texts.notSynced(named(language, notSynced, recordName))]),
  ].join('\n\n');
}

/** Sources of the prompt that bear marks of injected instructions. */
export const flaggedInputsText = (language: PromptLanguage, sources: readonly NamedSource[]): string =>
  USER_TEXTS[language].flaggedInputs(
    named(language, sources, (source) => {
      const kinds: Readonly<Record<string, string>> = USER_TEXTS[language].sources;
      const kind = Object.hasOwn(kinds, source.table) ? kinds[source.table] : undefined;
      return kind ?? recordName(source);
    }),
  );

/** Why a run without a budget did nothing, and what the user can do. */
export function budgetText(
  language: PromptLanguage,
  agent: { readonly maxTokensPerDay: number | null } | null,
): string {
  if (agent === null) return USER_TEXTS[language].noBudgetWithoutAgent;
  return agent.maxTokensPerDay === 0
    ? USER_TEXTS[language].agentIsStopped
    : failureText(language, 'budget-exhausted');
}

export const noticeText = (language: PromptLanguage, notice: Notice): string => {
  const format = new Intl.NumberFormat(language);
  return USER_TEXTS[language].notice(notice, (figure) => format.format(figure));
};

/**
 * Said after a run whose mission has a grant that will not last until the next one.
 *
 * @param timeZone IANA; both instants are shown in it
 */
export function grantEndsFirstText(
  language: PromptLanguage,
  expiresAtMs: number,
  nextRunAtMs: number,
  timeZone: string,
): string {
  const locale = language === 'de' ? 'de-DE' : 'en-GB';
  const format = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short', timeZone });
  return USER_TEXTS[language].grantEndsFirst(format.format(expiresAtMs), format.format(nextRunAtMs));
}
