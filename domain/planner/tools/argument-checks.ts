import { IN_ORDER, meaningOf, ONE_OF, type Meaning } from './argument-meanings.ts';
import { isMonth, namedTime, startMsOf, type NamedTime } from './argument-times.ts';
import type { UserZone } from '#domain/base/local-time.ts';
import { visibleLine, visibleText } from '#domain/base/text/prompt-text.ts';
import type { ReadableRecord } from '#domain/run/run-inputs.ts';
import type { CheckedArguments, ToolDefinition } from './tool-catalog.ts';

export type RecordRef = Pick<ReadableRecord, 'module' | 'table' | 'id'>;

/** What a run knows when arguments are looked at. */
export interface ArgumentFacts {
  /** Those that the run may read. */
  readonly records: readonly RecordRef[];
  /** Whether the model has been shown a record of that id: in the prompt, or in an answer of a reading tool. */
  readonly isShown: (id: string) => boolean;
  readonly nowMs: number;
  readonly timeZone: UserZone;
}

type Params = Readonly<Record<string, unknown>>;
type Checked = { readonly value: unknown } | { readonly problem: string } | 'left-out';

const MAX_PROBLEMS = 5;
/** A little less than this ago is still worth entering; more is a model's wrong idea of the year. */
const LONG_PAST_MS = 366 * 24 * 3_600_000;
const [FIRST_YEAR, LAST_YEAR] = ['1900', '2200'];

/** What is wrong with one argument; with a call as a whole where `name` is null. */
export interface ArgumentProblem {
  readonly name: string | null;
  readonly meaning: Meaning['kind'];
  /** What was found and what is allowed, for the model. */
  readonly words: string;
}

/**
 * Whether arguments of the right types mean something: ids are of records that the model was shown, and of the right kind;
 * days and times exist; texts say something; numbers lie in their sense. Only what is surely senseless is refused.
 *
 * An empty text for an optional parameter is what many models send for "left out", and is taken as that; so is the label
 * under which a record was shown for its id.
 *
 * @param params of the types that the tool's schema asks for (`checkArguments`)
 */
export function checkMeaning(tool: ToolDefinition, params: Params, facts: ArgumentFacts): CheckedArguments {
  const { kept, problems } = lookAt(tool, params, facts);
  if (problems.length === 0) return { ok: true, params: kept };
  const told = problems.slice(0, MAX_PROBLEMS);
  return {
    ok: false,
    problems: told.map(({ name, words }) => (name === null ? words : `${name}: ${words}`)).join('; '),
  };
}

/** All that `checkMeaning` finds wrong, one by one. */
export const problemsOf = (
  tool: ToolDefinition,
  params: Params,
  facts: ArgumentFacts,
): readonly ArgumentProblem[] => lookAt(tool, params, facts).problems;

function lookAt(
  tool: ToolDefinition,
  params: Params,
  facts: ArgumentFacts,
): { readonly kept: Params; readonly problems: readonly ArgumentProblem[] } {
  const { required } = tool.parameters;
  const kept: Record<string, unknown> = {};
  const problems: ArgumentProblem[] = [];
  for (const [name, value] of Object.entries(params)) {
    const checked = check({ tool, name, isRequired: required.includes(name), params }, value, facts);
    if (checked === 'left-out') continue;
    if ('problem' in checked)
      problems.push({ name, meaning: meaningOf(tool, name).kind, words: checked.problem });
    else kept[name] = checked.value;
  }
  return { kept, problems: problems.length > 0 ? problems : problemsBetween(tool, kept, facts) };
}

interface Place {
  readonly tool: ToolDefinition;
  readonly name: string;
  readonly isRequired: boolean;
  readonly params: Params;
}

function check(place: Place, value: unknown, facts: ArgumentFacts): Checked {
  const meaning = meaningOf(place.tool, place.name);
  const isEmpty = typeof value === 'string' && visibleText(value) === '';
  if (isEmpty && !place.isRequired && !('mayBeEmpty' in meaning)) return 'left-out';
  const isAllDay = place.tool.name === 'create_event' && place.params['isAllDay'] === true;
  return checkValue(meaning, value, { ...facts, isAllDay, toolName: place.tool.name });
}

interface ValueFacts extends ArgumentFacts {
  readonly isAllDay: boolean;
  readonly toolName: string;
}

const valid = (value: unknown): Checked => ({ value });
const problem = (words: string): Checked => ({ problem: words });

function checkValue(meaning: Meaning, value: unknown, facts: ValueFacts): Checked {
  switch (meaning.kind) {
    case 'text':
      return checkText(meaning, value);
    case 'record':
      return checkRecord(meaning, value, facts);
    case 'number':
      return checkNumber(meaning, value);
    case 'day':
    case 'time':
    case 'day-or-time':
      return checkTime(meaning, value, facts);
    case 'month':
      return typeof value === 'string' && isMonth(value)
        ? valid(value)
        : problem(`${found(value)}, expected a month, YYYY-MM`);
    case 'form':
      return typeof value === 'string' && meaning.pattern.test(value.trim())
        ? valid(value.trim())
        : problem(`${found(value)}, expected something like ${meaning.example}`);
    case 'list':
      return checkList(meaning, value, facts);
    case 'fields':
      return checkFields(meaning, value, facts);
    case 'some-fields':
      return typeof value === 'object' && value !== null && Object.keys(value).length > 0
        ? valid(value)
        : problem('is empty; give what is to be changed');
    case 'as-typed':
      return valid(value);
  }
}

function checkText(meaning: Extract<Meaning, { kind: 'text' }>, value: unknown): Checked {
  if (typeof value !== 'string') return problem(`${found(value)}, expected a text`);
  const isSaid = meaning.mayBeEmpty === true || visibleText(value) !== '';
  return isSaid ? valid(value) : problem('is empty; give it some words');
}

function checkNumber(
  { from, to, ...meaning }: Extract<Meaning, { kind: 'number' }>,
  value: unknown,
): Checked {
  const whole = meaning.whole === true;
  if (typeof value === 'number' && value >= from && value <= to && (!whole || Number.isInteger(value)))
    return valid(value);
  const range = from === Number.MIN_VALUE ? `more than 0, at most ${to}` : `from ${from} to ${to}`;
  return problem(`${found(value)}, expected a ${whole ? 'whole ' : ''}number ${range}`);
}

const EXPECTED_TIME = {
  day: 'a day that exists, YYYY-MM-DD',
  time: "a date and time that exists, YYYY-MM-DDTHH:MM in the user's time zone or with an offset",
  'day-or-time': 'a day that exists, YYYY-MM-DD, or such a day with a time',
} as const;

function checkTime(
  { kind, isAhead }: Extract<Meaning, { kind: 'day' | 'time' | 'day-or-time' }>,
  value: unknown,
  { nowMs, timeZone, isAllDay }: ValueFacts,
): Checked {
  const text = typeof value === 'string' ? value.trim() : '';
  const named = namedTime(text, timeZone);
  const kinds = kind === 'day' ? ['day'] : kind === 'time' && !isAllDay ? ['time'] : ['day', 'time'];
  if (named === null || !kinds.includes(named.kind) || !isOfOurAge(named))
    return problem(`${found(value)}, expected ${EXPECTED_TIME[kind]}`);
  if (isAhead && startMsOf(named, timeZone) < nowMs - LONG_PAST_MS)
    return problem(
      `${found(value)} is long past; today is ${new Date(nowMs).toISOString().slice(0, 10)}, expected a time ahead`,
    );
  return valid(text);
}

const isOfOurAge = ({ day }: NamedTime): boolean => day >= FIRST_YEAR && day < LAST_YEAR;

function checkList(
  { of, most }: Extract<Meaning, { kind: 'list' }>,
  value: unknown,
  facts: ValueFacts,
): Checked {
  if (!Array.isArray(value) || value.length === 0 || value.length > most)
    return problem(`expected a list of 1 to ${most}`);
  const items = value.map((item: unknown) => checkValue(of, item, facts));
  const index = items.findIndex((item) => item === 'left-out' || 'problem' in item);
  const wrong = items[index];
  if (wrong !== undefined && wrong !== 'left-out' && 'problem' in wrong)
    return problem(`number ${index + 1}: ${wrong.problem}`);
  return valid(items.map((item) => (item !== 'left-out' && 'value' in item ? item.value : null)));
}

function checkFields(
  { of, needs }: Extract<Meaning, { kind: 'fields' }>,
  value: unknown,
  facts: ValueFacts,
): Checked {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return problem(`${found(value)}, expected an object with ${needs.join(', ')}`);
  const fields = new Map(Object.entries(value));
  const missing = needs.find((name) => !fields.has(name));
  if (missing !== undefined) return problem(`${missing} is missing`);
  for (const [name, meaning] of Object.entries(of)) {
    const checked = fields.has(name) ? checkValue(meaning, fields.get(name), facts) : 'left-out';
    if (checked !== 'left-out' && 'problem' in checked) return problem(`${name}: ${checked.problem}`);
  }
  return valid(value);
}

const MAX_ALLOWED = 10;
/** What may stand in an error as it is: an id is free text, and could be an order. */
const PLAIN_ID = /^[\w.:-]{1,80}$/;

function checkRecord(
  { table, noun }: Extract<Meaning, { kind: 'record' }>,
  value: unknown,
  { records, isShown, toolName }: ValueFacts,
): Checked {
  if (table === null)
    return problem(
      `${found(value)}, but a run can read no ${noun}, so this id is made up; leave it out, or do without ${toolName}`,
    );
  const ofTable = records.filter((record) => record.table === table);
  const id = typeof value === 'string' ? idNamed(value, ofTable) : null;
  if (id !== null && isShown(id)) return valid(id);
  if (ofTable.length === 0)
    return problem(`${found(value)}, but this run has read no ${noun}; do without ${toolName}`);
  const isOther = records.some((record) => record.id === value && record.table !== table);
  const what = isOther ? 'is another kind of record' : `is no ${noun} that this run has read`;
  return problem(`${found(value)}, which ${what}; ${allowedOf(ofTable, isShown)}`);
}

function allowedOf(records: readonly RecordRef[], isShown: ArgumentFacts['isShown']): string {
  const plain = records.map(({ id }) => id).filter((id) => PLAIN_ID.test(id) && isShown(id));
  if (plain.length === 0) return 'copy the id of one as it was shown';
  const more = plain.length - MAX_ALLOWED;
  return `allowed: ${plain.slice(0, MAX_ALLOWED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** The record that a text names: by its id, by the label it was shown under, or by what could be seen of its id. */
function idNamed(value: string, records: readonly RecordRef[]): string | null {
  const exact = records.find(({ id }) => id === value);
  if (exact !== undefined) return exact.id;
  const line = visibleLine(value, MAX_LABEL_CHARS);
  const named = records.filter((record) => labelsOf(record).includes(line));
  return named.length === 1 ? (named[0]?.id ?? null) : null;
}

const MAX_LABEL_CHARS = 400;
const MAX_ID_CHARS = 120;

/** Made once for each record: a hundred calls may name none of a thousand. */
const shownIds = new WeakMap<RecordRef, string>();

function labelsOf(record: RecordRef): string[] {
  const { module, table, id } = record;
  const shown = shownIds.get(record) ?? visibleLine(id, MAX_ID_CHARS);
  shownIds.set(record, shown);
  return [shown, `${module}/${table}/${shown}`, `${table}/${shown}`, `${table}:${shown}`];
}

/** What holds between the arguments of a call, each of them right by itself. */
function problemsBetween(tool: ToolDefinition, params: Params, facts: ArgumentFacts): ArgumentProblem[] {
  const groups = ONE_OF[tool.name];
  const says = (group: readonly string[]): boolean => group.every((name) => Object.hasOwn(params, name));
  if (groups !== undefined && !groups.some(says)) {
    const needed = groups.map((group) => group.join(' and ')).join(', or ');
    return [{ name: null, meaning: 'as-typed', words: `nothing is said to be done; needed: ${needed}` }];
  }
  const [first, second] = IN_ORDER[tool.name] ?? [];
  if (first === undefined || second === undefined || !says([first, second])) return [];
  if (comesAfter(params[first], params[second], { ...facts, isAllDay: params['isAllDay'] === true }))
    return [];
  const words = `${found(params[second])}, expected something after ${first}`;
  return [{ name: second, meaning: meaningOf(tool, second).kind, words }];
}

/** The hours between the earliest and the latest clock on earth. */
const ZONES_MS = 26 * 3_600_000;

function comesAfter(
  first: unknown,
  second: unknown,
  { timeZone, isAllDay }: Pick<ValueFacts, 'timeZone' | 'isAllDay'>,
): boolean {
  if (typeof first === 'number' && typeof second === 'number') return first < second;
  const [start, end] = [first, second].map((value) => namedTime(String(value), timeZone));
  if (start === null || start === undefined || end === null || end === undefined) return false;
  if (isAllDay) return start.day <= end.day;
  const isOneClock = timeZone !== null || hasOffset(start) === hasOffset(end);
  return startMsOf(start, timeZone) < startMsOf(end, timeZone) + (isOneClock ? 0 : ZONES_MS);
}

const hasOffset = (time: NamedTime): boolean => time.kind === 'time' && time.hasOffset;

const MAX_FOUND_CHARS = 40;
/** What a value may show of itself in an error: nothing that opens a block, closes one, or begins a line. */
const NOT_PLAIN = /[^\p{L}\p{N} _.,:/@+-]/gu;

/** A value, quoted and short: the model may have taken it from anywhere. */
function found(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean') return `found ${String(value)}`;
  if (typeof value !== 'string')
    return value === null ? 'found null' : `found ${Array.isArray(value) ? 'a list' : 'an object'}`;
  const start = value.slice(0, MAX_FOUND_CHARS).replace(NOT_PLAIN, '?');
  return `found "${start}${value.length > MAX_FOUND_CHARS ? '…' : ''}"`;
}

/**
 * Which ids the model has seen.
 *
 * @param texts of the prompt and of the answers so far; gone through once, whatever is asked, and not at all if nothing is
 */
export function shownIdsIn(texts: readonly string[]): (id: string) => boolean {
  let words: ReadonlySet<string> | null = null;
  return (id) => {
    if (PLAIN_ID.test(id)) {
      words ??= new Set(texts.flatMap((text) => text.match(/[\w.:-]{1,200}/g) ?? []));
      return words.has(id);
    }
    const forms = [visibleLine(id, MAX_ID_CHARS), JSON.stringify(id).slice(1, -1)];
    return texts.some((text) => forms.some((form) => form !== '' && text.includes(form)));
  };
}
