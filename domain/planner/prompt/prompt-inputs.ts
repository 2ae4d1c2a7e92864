import {
  evenShare,
  CUT_MARK,
  cutAtSentence,
  looksEncrypted,
  UNREADABLE_MARK,
  visibleLine,
  visibleText,
} from '#domain/base/text/prompt-text.ts';
import { dataBlock, dataBlocksIn } from '#domain/planner/plan/data-block.ts';
import type { InputModule } from '#domain/wire/input-modules.ts';
import type { MissionInput } from '#domain/wire/mission.ts';
import type { PromptLanguage } from '#domain/base/language.ts';
import { localTime, type UserZone } from '#domain/base/local-time.ts';
import { PROMPT_WORDING } from '#domain/planner/model/prompt-wording.ts';
import { unreadableReasonText } from '#domain/run/run-inputs.ts';

/** A record that the run could read, as plain texts by field name. */
export interface ResolvedInput extends MissionInput {
  readonly title: string | null;
  readonly fields: readonly { readonly name: string; readonly value: string }[];
}

/** An input that is missing, deleted, outside the grant or undecryptable; it is named, and nothing is invented. */
export interface UnreadableInput extends MissionInput {
  /** An `UnreadableReason`; older entries hold words. */
  readonly reason: string;
}

/**
 * Takes what the model should see out of a merged, decrypted record: the module's listed fields and nothing else.
 *
 * @param input names the record; its id is that of the log, never `record.id`
 * @param record plain values by field name; objects and lists become compact JSON
 */
export function renderInput(
  module: InputModule,
  input: MissionInput,
  record: Readonly<Record<string, unknown>>,
): ResolvedInput {
  const names = [...module.encryptedFields, ...module.plainFields].filter((name) => name !== 'title');
  const fields = names
    .map((name) => ({ name, value: textOf(valueAt(record, name)) }))
    .filter((field) => field.value !== '');
  const title = textOf(valueAt(record, 'title'));
  return {
    module: input.module,
    table: input.table,
    id: input.id,
    title: title === '' ? null : title,
    fields,
  };
}

function valueAt(record: Readonly<Record<string, unknown>>, dottedName: string): unknown {
  let value: unknown = record;
  for (const key of dottedName.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return null;
    value = (value as Readonly<Record<string, unknown>>)[key];
  }
  return value;
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return typeof value === 'object' && value !== null ? JSON.stringify(value, withoutCiphertext) : '';
}

const withoutCiphertext = (_key: string, value: unknown): unknown =>
  typeof value === 'string' && looksEncrypted(value) ? UNREADABLE_MARK : value;

const MAX_LABEL_PART_CHARS = 120;
/** Less of a record than this is no use; rather some inputs are left out and counted. */
const MIN_BODY_CHARS = 200;

/** Names a record in the prompt. */
export const labelOf = (input: MissionInput): string =>
  [input.module, input.table, input.id].map((part) => visibleLine(part, MAX_LABEL_PART_CHARS)).join('/');

const bodyOf = ({ title, fields }: ResolvedInput, timeZone: UserZone): string =>
  [...(title === null ? [] : [{ name: 'title', value: title }]), ...fields]
    .map(({ name, value }) => `${name}: ${localTime(visibleText(value), timeZone)}`)
    .join('\n');

const BETWEEN_BLOCKS = '\n\n';

/**
 * All inputs as marked data within a budget. Short records stay whole; what they leave is shared evenly by the long
 * ones, which are cut at a sensible place with a visible mark.
 *
 * @param options.strip removes what would break out of a block
 * @param options.leftOut says how many inputs found no room
 */
export function renderInputs(
  inputs: readonly ResolvedInput[],
  options: {
    readonly delimiter: string;
    readonly maxChars: number;
    readonly strip: (text: string) => string;
    /** Times that records hold are shown by it. */
    readonly timeZone: UserZone;
    readonly leftOut: (inputs: number) => string;
  },
): RenderedInputs {
  const { delimiter, maxChars, strip } = options;
  const fitting: { readonly label: string; readonly body: string }[] = [];
  let needed = 0;
  let frames = 0;
  for (const input of inputs) {
    const label = strip(labelOf(input));
    const body = strip(bodyOf(input, options.timeZone));
    const frame = dataBlock(delimiter, label, '').length + BETWEEN_BLOCKS.length;
    needed += frame + Math.min(body.length, MIN_BODY_CHARS);
    if (needed > maxChars) break;
    frames += frame;
    fitting.push({ label, body });
  }
  const bodies = fitting.map(({ body }) => body);
  const share = evenShare(
    bodies.map((body) => body.length),
    maxChars - frames,
  );
  const blocks = fitting.map(({ label, body }) => dataBlock(delimiter, label, cutAtSentence(body, share)));
  const leftOut = inputs.length - fitting.length;
  if (leftOut > 0) blocks.push(options.leftOut(leftOut));
  return {
    text: blocks.join(BETWEEN_BLOCKS),
    isWhole: leftOut === 0 && bodies.every((body) => body.length <= share && !body.includes(CUT_MARK)),
  };
}

export interface RenderedInputs {
  readonly text: string;
  /** All of them stand there as they are. */
  readonly isWhole: boolean;
}

/**
 * Labels of the inputs that a prompt shows as they are.
 *
 * @param texts of its messages
 */
export const inputsShownWhole = (texts: readonly string[], delimiter: string): ReadonlySet<string> =>
  new Set(
    texts
      .flatMap((text) => dataBlocksIn(text, delimiter))
      .filter(({ body }) => !body.includes(CUT_MARK))
      .map(({ label }) => label),
  );

const MAX_NAMED_UNREADABLE = 50;

/** One line for each input that could not be read, with the reason; bounded. */
export function renderUnreadable(unreadable: readonly UnreadableInput[], language: PromptLanguage): string {
  const named = unreadable.slice(0, MAX_NAMED_UNREADABLE);
  const lines = named.map((input) => {
    const reason = visibleLine(unreadableReasonText(language, input.reason), MAX_LABEL_PART_CHARS);
    return `- ${labelOf(input)}: ${reason}`;
  });
  const more = unreadable.length - named.length;
  return [...lines, ...(more > 0 ? [PROMPT_WORDING[language].more(more)] : [])].join('\n');
}
