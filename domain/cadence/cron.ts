import { Cron } from 'croner';

/** The sorted values that each field of a cron expression names; null means any (`*`). */
export interface CronFields {
  readonly minutes: readonly number[] | null;
  readonly hours: readonly number[] | null;
  readonly daysOfMonth: readonly number[] | null;
  readonly months: readonly number[] | null;
  /** 0 = Sunday to 6. */
  readonly daysOfWeek: readonly number[] | null;
}

interface FieldRule {
  readonly min: number;
  readonly max: number;
  /** Names that stand for `min`, `min + 1` and so on. */
  readonly names?: readonly string[];
}

const MONTH_NAMES = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];
const DAY_NAMES = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];

const MINUTE: FieldRule = { min: 0, max: 59 };
const HOUR: FieldRule = { min: 0, max: 23 };
const DAY_OF_MONTH: FieldRule = { min: 1, max: 31 };
const MONTH: FieldRule = { min: 1, max: 12, names: MONTH_NAMES };
/** 7 is Sunday again, as in `FRI-SUN` and `5-7`. */
const DAY_OF_WEEK: FieldRule = { min: 0, max: 7, names: DAY_NAMES };

const LONGEST_MONTH_DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/**
 * Reads a standard cron expression: five fields of numbers, names, lists, ranges and steps (`*`, `5`, `MON-FRI`,
 * `8-18/2`, `0,30`).
 *
 * Whatever croner and the Temporal server read differently or only one of them knows (`L`, `#`, `?`, `5/15`, seconds,
 * `@daily`, `CRON_TZ=`) is refused, and both get the values from here: so a mission fires when we say it is due.
 *
 * @returns null when the expression is not one
 * @see POSIX crontab
 */
export function parseCron(expression: string): CronFields | null {
  const texts = expression.trim().split(/\s+/);
  const [minute, hour, dayOfMonth, month, dayOfWeek, ...rest] = texts;
  if (minute === undefined || hour === undefined || dayOfMonth === undefined) return null;
  if (month === undefined || dayOfWeek === undefined || rest.length > 0) return null;
  const minutes = parseField(minute, MINUTE);
  const hours = parseField(hour, HOUR);
  const daysOfMonth = parseField(dayOfMonth, DAY_OF_MONTH);
  const months = parseField(month, MONTH);
  const daysOfWeek = parseField(dayOfWeek, DAY_OF_WEEK);
  if (!minutes || !hours || !daysOfMonth || !months || !daysOfWeek) return null;
  return {
    minutes: minutes.values,
    hours: hours.values,
    daysOfMonth: daysOfMonth.values,
    months: months.values,
    daysOfWeek: daysOfWeek.values && sorted(daysOfWeek.values.map((day) => day % 7)),
  };
}

/** Only a plain `*` leaves a day field unrestricted; a step does restrict it (POSIX: "other than an asterisk"). */
function parseField(text: string, rule: FieldRule): { readonly values: readonly number[] | null } | null {
  if (text === '*') return { values: null };
  const items = text.split(',').map((item) => parseItem(item, rule));
  return items.includes(null) ? null : { values: sorted(items.flatMap((item) => item ?? [])) };
}

const ITEM = /^(?:(?<any>\*)|(?<from>\w+)(?:-(?<to>\w+))?)(?:\/(?<step>\d{1,2}))?$/;

function parseItem(text: string, rule: FieldRule): readonly number[] | null {
  const groups = ITEM.exec(text)?.groups;
  if (groups === undefined) return null;
  const step = groups['step'] === undefined ? 1 : Number(groups['step']);
  if (step < 1) return null;
  if (groups['any'] !== undefined) return range(rule.min, rule === DAY_OF_WEEK ? 6 : rule.max, step);
  const from = parseValue(groups['from'], rule);
  if (from === null) return null;
  if (groups['to'] === undefined) return groups['step'] === undefined ? [from] : null;
  const to = parseValue(groups['to'], rule);
  // A week that ends on Sunday: SUN closes the range as 7.
  const end = to === 0 && rule === DAY_OF_WEEK && from > 0 ? 7 : to;
  return end === null || end < from ? null : range(from, end, step);
}

function parseValue(text: string | undefined, rule: FieldRule): number | null {
  if (text === undefined) return null;
  const named = rule.names?.indexOf(text.toUpperCase()) ?? -1;
  if (named >= 0) return rule.min + named;
  const value = /^\d{1,2}$/.test(text) ? Number(text) : NaN;
  return value >= rule.min && value <= rule.max ? value : null;
}

const range = (from: number, to: number, step: number): number[] =>
  Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, index) => from + index * step);

const sorted = (values: readonly number[]): number[] => [...new Set(values)].sort((a, b) => a - b);

/**
 * The occurrences of a cron expression on a clock without time zone, in order.
 *
 * @param afterWallMs wall-clock time as if it were UTC, in milliseconds; only later occurrences are given
 * @returns wall-clock times of the same kind; none at all for a date that no year has, as 31 February
 */
export function* cronOccurrences(
  fields: CronFields,
  afterWallMs: number,
): Generator<number, void, undefined> {
  if (!canOccur(fields)) return;
  // An offset, not the zone of the same name: croner would ask Intl for it each time, which takes ten times as long.
  const cron = new Cron(cronText(fields), { utcOffset: 0, mode: '5-part', paused: true });
  let next = cron.nextRun(new Date(afterWallMs));
  while (next !== null) {
    yield next.getTime();
    next = cron.nextRun(next);
  }
}

/** croner would search until the year 10000. */
function canOccur({ daysOfMonth, months, daysOfWeek }: CronFields): boolean {
  if (daysOfMonth === null || daysOfWeek !== null) return true;
  const firstDay = Math.min(...daysOfMonth);
  return LONGEST_MONTH_DAYS.some((days, index) => firstDay <= days && (months?.includes(index + 1) ?? true));
}

const cronText = (fields: CronFields): string =>
  [fields.minutes, fields.hours, fields.daysOfMonth, fields.months, fields.daysOfWeek]
    .map((values) => values?.join(',') ?? '*')
    .join(' ');
