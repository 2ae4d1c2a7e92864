import { evenShare, visibleLine, visibleText } from '#domain/base/text/prompt-text.ts';
import type { ToolDefinition } from '#domain/planner/tools/tool-catalog.ts';

const MAX_SUMMARY_CHARS = 120;
/** Of what a step writes into a record that is there already. */
const MAX_WRITTEN_CHARS = 300;

/** The first of these that a call has tells a person best what the step is about. */
const TELLING_PARAMS = [
  'title',
  'name',
  'titleMatch',
  'firstName',
  'clientName',
  'subject',
  'claim',
  'query',
  'questionText',
  'description',
  'content',
  'url',
];

/** Tools that change what the user has: all that they write is told. */
const WRITES_INTO_A_RECORD = /^(?:update|add|append)_/;
const NAMES_A_RECORD = /(?:Id|_id|Key)$/;

/** One line on what a step is about; of one that changes a record, with everything that it writes, cut evenly. */
export function stepSummary(tool: ToolDefinition, params: Readonly<Record<string, unknown>>): string {
  const words = tool.name.replaceAll('_', ' ');
  const action = words.charAt(0).toUpperCase() + words.slice(1);
  if (WRITES_INTO_A_RECORD.test(tool.name)) return [action, ...writtenIn(params)].join(': ');
  const telling = tellingOf([...TELLING_PARAMS, ...Object.keys(tool.parameters.properties)], params);
  return visibleLine(
    telling === undefined ? action : `${action}: ${textOf(params[telling])}`,
    MAX_SUMMARY_CHARS,
  );
}

/** The first of the names that holds words. */
const tellingOf = (names: readonly string[], params: Readonly<Record<string, unknown>>): string | undefined =>
  names.find(
    (name) => Object.hasOwn(params, name) && typeof params[name] === 'string' && textOf(params[name]) !== '',
  );

/** What tells most, then the rest with its names; nothing where there is nothing to tell. */
function writtenIn(params: Readonly<Record<string, unknown>>): string[] {
  const names = Object.keys(params).filter((name) => !NAMES_A_RECORD.test(name));
  const telling = tellingOf([...TELLING_PARAMS, ...names.slice(0, 1)], params);
  const parts = [...new Set([...(telling === undefined ? [] : [telling]), ...names])]
    .map((name) => ({ label: name === telling ? '' : `${name}: `, text: textOf(params[name]) }))
    .filter(({ text }) => text !== '');
  const share = evenShare(
    parts.map(({ text }) => text.length),
    MAX_WRITTEN_CHARS,
  );
  const shown = parts.map(({ label, text }) => label + visibleLine(text, share));
  return shown.length === 0 ? [] : [shown.join(' · ')];
}

/** A value on one line; of a list or an object, its names and its values. */
function textOf(value: unknown): string {
  if (typeof value === 'string') return visibleText(value);
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value !== 'object' || value === null) return '';
  return Object.entries(value)
    .map(([name, item]) => (Array.isArray(value) ? textOf(item) : `${visibleText(name)}: ${textOf(item)}`))
    .join(', ');
}
