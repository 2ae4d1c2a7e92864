import type { BudgetReminder } from '#domain/run/budget.ts';
import { cadenceWords } from '#domain/cadence/cadence-words.ts';
import type { ChatMessage } from '#domain/planner/plan/conversation.ts';
import { dataBlock, withoutDelimiter } from '#domain/planner/plan/data-block.ts';
import type { PromptLanguage } from '#domain/base/language.ts';
import { localTime, spokenTime, zoneName, type UserZone } from '#domain/base/local-time.ts';
import type { Cadence } from '#domain/wire/mission.ts';
import { renderFeedback, renderHistory } from './prompt-history.ts';
import { renderInputs, renderUnreadable, type UnreadableInput } from './prompt-inputs.ts';
import { DATA_LABELS, type PromptSources } from './prompt-sources.ts';
import { cutAtSentence, visibleLine, visibleText } from '#domain/base/text/prompt-text.ts';
import { PROMPT_WORDING, type PromptWording } from '#domain/planner/model/prompt-wording.ts';
import type { ResearchNote } from '#domain/run/research.ts';

export interface PromptInput extends PromptSources {
  /** Plain texts; null for a mission without an agent. */
  readonly agent: (PromptSources['agent'] & { readonly name: string; readonly role: string | null }) | null;
  readonly unreadableInputs: readonly UnreadableInput[];
  /** The run reads further records, that are no inputs. */
  readonly hasMoreRecords: boolean;
  readonly cadence: Cadence | null;
  /** Epoch milliseconds; null where no further run is due. */
  readonly nextRunAtMs: number | null;
  /** How often the model is asked at most. */
  readonly maxRounds: number;
  /** Of the mission; the words around the user's own are in it. */
  readonly language: PromptLanguage;
  /** Null while it is not worth saying. */
  readonly budget: BudgetReminder | null;
  /** Epoch milliseconds. */
  readonly nowMs: number;
  /** All times are shown by it. */
  readonly timeZone: UserZone;
  /** Random for each run, at least 8 characters of `\w`: it marks data, and no record may guess it. */
  readonly delimiter: string;
}

/** Both messages together, in UTF-16 code units; some 15,000 to 20,000 tokens of German. */
export const MAX_PROMPT_CHARS = 60_000;
const MIN_DELIMITER_CHARS = 8;
const MAX_TITLE_CHARS = 300;
const MAX_LONG_TEXT_CHARS = 6_000;
const MAX_UNREADABLE_CHARS = 4_000;
const MAX_FEEDBACK_CHARS = 3_200;
const MAX_HISTORY_CHARS = 9_000;
const MAX_RESEARCH_CHARS = 12_000;
const MAX_SOURCES = 40;
const MAX_URL_CHARS = 300;

/**
 * The first two messages of a run: what holds (system), then the mission, its agent and its data (user).
 *
 * The system message is the same for every run of a language, so that a provider's cache serves them all. Whatever belongs to
 * a user or to a run stands in the user message, the delimiter in its first line. The agent's persona stands there as the
 * user's own setting, its memory as data, because what an agent remembers may come from records. Every text is visible,
 * bounded and free of ciphertext and of the delimiter.
 *
 * @param share of the room that the parts of a prompt may take, from 1 down to 0, for models with a small window
 * @throws TypeError when the delimiter is too short to be unguessable
 */
export function buildPrompt(input: PromptInput, share = 1): ChatMessage[] {
  const { delimiter } = input;
  if (delimiter.length < MIN_DELIMITER_CHARS)
    throw new TypeError(
      `delimiter: found ${delimiter.length} characters, expected ${MIN_DELIMITER_CHARS} or more`,
    );
  const writer = writerOf(input, share);
  const { strip, wording, room } = writer;
  const before = contextOf(input, writer);
  const maxChars = room(MAX_PROMPT_CHARS) - wording.rules.length - before.length - HEADING_CHARS;
  const inputs = renderInputs(input.inputs, {
    ...{ delimiter, maxChars, strip },
    timeZone: input.timeZone,
    leftOut: wording.leftOut,
  });
  const isComplete = inputs.isWhole && !input.hasMoreRecords;
  return [
    { role: 'system', content: wording.rules },
    {
      role: 'user',
      content: join([before, section(isComplete ? wording.inputs : wording.inputsInPart, inputs.text)]),
    },
  ];
}

/** As long as they shrink. */
const MAX_TRIES = 8;

/**
 * The largest prompt that fits; the smallest of some tries where none does: it is asked all the same, for the window may be
 * larger than we think.
 *
 * @param fillOf how much of their room messages fill; they fit up to 1
 */
export function fitPrompt(
  input: PromptInput,
  fillOf: (messages: readonly ChatMessage[]) => number,
): ChatMessage[] {
  let share = 1;
  let messages = buildPrompt(input, share);
  for (let tries = 1; tries < MAX_TRIES; tries += 1) {
    const fill = fillOf(messages);
    if (fill <= 1) break;
    // A prompt of many short records has long not had all the room that its share allows.
    const used =
      messages.reduce((chars, { content }) => chars + (content ?? '').length, 0) / MAX_PROMPT_CHARS;
    // What does not shrink (headings, short texts) has to be made up for by what does.
    share = Math.min(share, used) * Math.min(0.9, Math.max(0.2, 0.9 / fill));
    messages = buildPrompt(input, share);
  }
  return messages;
}

/** Room for the last heading and the line about inputs left out. */
const HEADING_CHARS = 200;

interface Writer {
  readonly wording: PromptWording;
  /** Takes out what would close a block of data. */
  readonly strip: (text: string) => string;
  /** How many characters of so many a part may have. */
  readonly room: (maxChars: number) => number;
  readonly long: (text: string | null, maxChars?: number) => string;
  readonly line: (text: string | null) => string;
  /** Marks a text as data; nothing for an empty one. */
  readonly block: (label: string, text: string) => string;
}

function writerOf({ language, delimiter }: PromptInput, share: number): Writer {
  const strip = (text: string): string => withoutDelimiter(text, delimiter);
  const room = (maxChars: number): number => Math.floor(maxChars * share);
  return {
    wording: PROMPT_WORDING[language],
    strip,
    room,
    long: (text, maxChars = room(MAX_LONG_TEXT_CHARS)) =>
      cutAtSentence(strip(visibleText(text ?? '')), maxChars),
    line: (text) => strip(visibleLine(text ?? '', MAX_TITLE_CHARS)),
    block: (label, text) => (text === '' ? '' : dataBlock(delimiter, label, text)),
  };
}

function personaOf({ agent }: PromptInput, { wording, line, long }: Writer): string {
  if (agent === null) return '';
  return join(
    [
      `# ${wording.role}`,
      labelled(wording.name, line(agent.name)),
      labelled(wording.roleLabel, line(agent.role)),
      long(agent.systemPrompt),
    ],
    '\n',
  );
}

/** Everything of the user message but the inputs, which take the room that is left. */
function contextOf(input: PromptInput, writer: Writer): string {
  const { mission, agent, budget, language, research, timeZone } = input;
  const { wording, strip, line, long, block, room } = writer;
  const feedback = strip(renderFeedback(input.recentIterations, language, timeZone));
  const history = strip(renderHistory(input.recentIterations, language, timeZone));
  const unreadable = strip(renderUnreadable(input.unreadableInputs, language));
  const tokens = new Intl.NumberFormat(language);
  return join([
    `${wording.mark} ${input.delimiter}`,
    personaOf(input, writer),
    `# ${wording.mission}`,
    join([
      labelled(wording.title, line(mission.title)),
      labelled(wording.objective, long(mission.objective)),
      labelled(wording.concept, long(mission.conceptMarkdown)),
    ]),
    join([nowOf(input, wording), cadenceOf(input, wording), wording.rounds(input.maxRounds)], '\n'),
    budget === null ? '' : wording.budget(tokens.format(budget.usedTokens), tokens.format(budget.maxTokens)),
    section(wording.feedback, block(DATA_LABELS.feedback, cutAtSentence(feedback, room(MAX_FEEDBACK_CHARS)))),
    section(wording.memory, block(DATA_LABELS.memory, long(agent?.memory ?? null))),
    section(wording.history, block(DATA_LABELS.history, cutAtSentence(history, room(MAX_HISTORY_CHARS)))),
    section(
      wording.unreadable,
      block(DATA_LABELS.unreadable, cutAtSentence(unreadable, room(MAX_UNREADABLE_CHARS))),
    ),
    research === null ? '' : section(wording.research, researchOf(research, writer)),
  ]);
}

const nowOf = (input: PromptInput, wording: PromptWording): string =>
  wording.now(
    spokenTime(input.nowMs, input.timeZone, input.language),
    zoneOf(input, wording),
    localTime(new Date(input.nowMs).toISOString(), input.timeZone),
  );

function cadenceOf(
  { cadence, nextRunAtMs, timeZone, language }: PromptInput,
  wording: PromptWording,
): string {
  if (cadence === null) return '';
  const words = cadenceWords(cadence, language);
  const next = nextRunAtMs === null ? '' : spokenTime(nextRunAtMs, timeZone, language);
  return words === '' ? '' : wording.cadence(words, next);
}

/** Nothing for a zone whose name says less than the offset that stands before it. */
const zoneOf = ({ timeZone }: PromptInput, wording: PromptWording): string =>
  timeZone === null ? wording.unknownZone : (zoneName(timeZone) ?? '');

/** Quoted as data like everything that was read; a failed one is said, so that none is made up. */
function researchOf(research: ResearchNote, { wording, strip, long, block, room }: Writer): string {
  if (research.outcome === 'failed') return wording.researchFailed;
  const sources = research.urls
    .slice(0, room(MAX_SOURCES))
    .map((url) => strip(visibleLine(url, MAX_URL_CHARS)));
  const list = sources.length === 0 ? '' : [`${wording.researchSources}:`, ...sources].join('\n');
  const left = Math.max(0, room(MAX_RESEARCH_CHARS) - list.length);
  return block(DATA_LABELS.research, join([long(research.text, left), list]));
}

const join = (parts: readonly string[], separator = '\n\n'): string =>
  parts.filter((part) => part !== '').join(separator);
const labelled = (label: string, text: string): string => (text === '' ? '' : `${label}: ${text}`);
const section = (title: string, text: string): string => (text === '' ? '' : `# ${title}\n${text}`);
