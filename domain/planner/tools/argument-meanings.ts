import type { ToolDefinition } from './tool-catalog.ts';

/**
 * What a tool's argument means, beyond the type that its schema gives it. By parameter, because that is what the catalog's
 * descriptions say in words; a test holds every parameter of the catalog against this table.
 */
export type Meaning =
  /** Words; where a tool lets a text be taken away, an empty one says so. */
  | { readonly kind: 'text'; readonly mayBeEmpty?: true }
  /**
   * The id of a record; `noun` as a person says it. Null for a kind that no run can read (docs/platform.md section 2): any such
   * id is made up.
   */
  | { readonly kind: 'record'; readonly table: string | null; readonly noun: string }
  /** Both ends included. */
  | { readonly kind: 'number'; readonly from: number; readonly to: number; readonly whole?: true }
  /**
   * A day of the calendar, a time of day on one, or either. What lies ahead of the user is no year or more in the past:
   * small models take the year of their training for the present one.
   */
  | { readonly kind: 'day' | 'time' | 'day-or-time'; readonly isAhead: boolean }
  | { readonly kind: 'month' }
  | { readonly kind: 'form'; readonly pattern: RegExp; readonly example: string }
  | { readonly kind: 'list'; readonly of: Meaning; readonly most: number }
  /** An object whose fields mean something themselves, and which of them it needs. */
  | {
      readonly kind: 'fields';
      readonly of: Readonly<Record<string, Meaning>>;
      readonly needs: readonly string[];
    }
  /** An object that must hold something, whatever it is. */
  | { readonly kind: 'some-fields' }
  /** Its type says all: a choice, yes or no, an object of any fields. */
  | { readonly kind: 'as-typed' };

const text: Meaning = { kind: 'text' };
const clearable: Meaning = { kind: 'text', mayBeEmpty: true };
const record = (table: string | null, noun: string): Meaning => ({ kind: 'record', table, noun });
const number = (from: number, to: number): Meaning => ({ kind: 'number', from, to });
const whole = (from: number, to: number): Meaning => ({ kind: 'number', from, to, whole: true });
const day: Meaning = { kind: 'day', isAhead: false };
const dayAhead: Meaning = { kind: 'day', isAhead: true };
const timeAhead: Meaning = { kind: 'time', isAhead: true };
const form = (pattern: RegExp, example: string): Meaning => ({ kind: 'form', pattern, example });

const url = form(/^https?:\/\/[^\s/]/i, 'https://example.org/page');
const email = form(/^[^\s@]{1,200}@[^\s@]{1,200}$/, 'name@example.org');
const slug = form(/^[a-z0-9-]{2,40}$/, 'my-site');
const languageCode = form(/^[a-z]{2,3}(?:-[a-z0-9]{2,8}){0,3}$/i, 'de');
/** Above nothing, and a number that no day of anybody's life brings. */
const SOME = Number.MIN_VALUE;
const year = whole(-3_000, 2_200);

/** By the parameter's name, whatever the tool. */
const BY_NAME: Readonly<Record<string, Meaning>> = {
  // What records hold: the only kinds that a mission may name as inputs.
  taskId: record('tasks', 'task'),
  noteId: record('notes', 'note'),
  goalId: record('companionGoals', 'goal'),
  // Kinds of which a run never sees one.
  articleId: record(null, 'article'),
  blockId: record(null, 'block of a website'),
  campaignId: record(null, 'campaign'),
  characterId: record(null, 'character'),
  discovered_event_id: record(null, 'discovered event'),
  draftId: record(null, 'draft'),
  entryId: record(null, 'entry'),
  habitId: record(null, 'habit'),
  invoiceId: record(null, 'invoice'),
  lastId: record(null, 'last'),
  pageId: record(null, 'page of a website'),
  parentBlockId: record(null, 'block of a website'),
  placeId: record(null, 'place'),
  projectId: record(null, 'project'),
  questionId: record(null, 'question'),
  quizId: record(null, 'quiz'),
  siteId: record(null, 'website'),
  storyId: record(null, 'story'),
  styleId: record(null, 'writing style'),
  variantMediaId: record(null, 'variant of a character'),

  dueDate: dayAhead,
  expectedBy: dayAhead,
  date: day,
  paidAt: { kind: 'day-or-time', isAhead: false },
  startTime: timeAhead,
  endTime: timeAhead,
  month: { kind: 'month' },
  year,

  amount: number(SOME, 1e9),
  calories: number(0, 20_000),
  count: whole(1, 4),
  days: number(1, 36_500),
  days_ahead: number(0, 3_650),
  latitude: number(-90, 90),
  level: number(1, 10),
  limit: number(1, 1_000),
  longitude: number(-180, 180),
  probability: number(0, 1),
  protein: number(0, 2_000),
  quantityMl: number(SOME, 20_000),
  rating: number(1, 5),
  selectionEnd: whole(1, 1e9),
  selectionStart: whole(0, 1e9),
  targetValue: number(0, 1e9),
  targetWords: whole(1, 1e6),
  tenderness: number(1, 5),

  email,
  clientEmail: email,
  url,
  urls: { kind: 'list', of: url, most: 50 },
  slug,
  path: form(/^\/(?!\/)\S{0,500}$/, '/about'),
  language: languageCode,
  targetLanguage: languageCode,
  templateId: form(/^tpl-[a-z-]{2,60}$/, 'tpl-tasks-daily'),
  patch: { kind: 'some-fields' },
  lines: {
    kind: 'list',
    most: 200,
    of: {
      kind: 'fields',
      needs: ['title', 'quantity', 'unitPrice'],
      // A discount is a price below nothing.
      of: {
        title: text,
        quantity: number(SOME, 1e9),
        unitPrice: number(-1e9, 1e9),
        vatRate: number(0, 100),
        unit: text,
      },
    },
  },
};

/** Where a name means something else, or may be empty, in one tool. */
const BY_TOOL: Readonly<Record<string, Meaning>> = {
  'create_habit.color': form(/^#[0-9a-f]{6}$/i, '#3366CC'),
  'update_quiz.description': clearable,
  'update_quiz.category': clearable,
  'update_quiz_question.explanation': clearable,
};

/** The parameters of the table, for the test that none of them is left over. */
export const MEANINGS: Readonly<Record<string, Meaning>> = { ...BY_NAME, ...BY_TOOL };

/** @param name a property of the tool's schema */
export function meaningOf(tool: ToolDefinition, name: string): Meaning {
  const own = `${tool.name}.${name}`;
  if (Object.hasOwn(BY_TOOL, own)) return BY_TOOL[own] ?? text;
  const property = tool.parameters.properties[name];
  if (property?.enum !== undefined) return { kind: 'as-typed' };
  if (Object.hasOwn(BY_NAME, name)) return BY_NAME[name] ?? text;
  return property?.type === 'string' ? text : { kind: 'as-typed' };
}

/** Of two arguments, the second one comes after the first. */
export const IN_ORDER: Readonly<Record<string, readonly [string, string]>> = {
  create_event: ['startTime', 'endTime'],
  refine_draft_selection: ['selectionStart', 'selectionEnd'],
};

/** A call says at least all of one of these: without, it creates or changes nothing. */
export const ONE_OF: Readonly<Record<string, readonly (readonly string[])[]>> = {
  create_goal: [['templateId'], ['title', 'eventType']],
  update_note: [['title'], ['content']],
  update_quiz: [['title'], ['description'], ['category'], ['isPinned'], ['isArchived']],
  update_quiz_question: [['questionText'], ['type', 'optionsJson'], ['explanation']],
};

/**
 * The tables, of those that a run can read, out of which a tool needs a record: it can only be called where one was read.
 *
 * @returns null in place of the table where the kind is one that no run can read: then the tool cannot be called at all
 */
export const tablesNeededBy = (tool: ToolDefinition): (string | null)[] =>
  tool.parameters.required.flatMap((name) => {
    const meaning = meaningOf(tool, name);
    return meaning.kind === 'record' ? [meaning.table] : [];
  });
