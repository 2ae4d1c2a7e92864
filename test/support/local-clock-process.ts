import { text } from 'node:stream/consumers';

/** Local times as numbers; a part that is left out is any. */
export interface LocalTimes {
  readonly minutes: readonly number[];
  readonly hours: readonly number[];
  readonly daysOfMonth?: readonly number[];
  /** 1 to 12. */
  readonly months?: readonly number[];
  /** 0 = Sunday to 6. */
  readonly daysOfWeek?: readonly number[];
}

export interface LocalClockQuestion {
  readonly zones: readonly string[];
  readonly fromYear: number;
  readonly toYear: number;
  readonly times: readonly LocalTimes[];
}

/** Of one zone; epoch milliseconds, ascending. */
export interface LocalClockAnswer {
  readonly instants: readonly (readonly number[])[];
  /** The hours in which the zone's clock changes. */
  readonly changes: readonly number[];
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/**
 * What the web app does with a local time: `new Date(year, month, day, hour, minute)` in the zone of its browser, which here
 * is the process's own (the environment variable TZ). Shares no code and no library with `domain/`. Question and answer are JSON on stdin and
 * stdout.
 */
function answer({ fromYear, toYear, times }: LocalClockQuestion): LocalClockAnswer {
  const instants = times.map(() => new Set<number>());
  for (let day = 0; ; day += 1) {
    const noon = new Date(fromYear, 0, 1 + day, 12);
    if (noon.getFullYear() > toYear) break;
    times.forEach((wanted, index) => {
      if (!isOn(wanted, noon)) return;
      for (const hour of wanted.hours)
        for (const minute of wanted.minutes)
          instants[index]?.add(new Date(fromYear, 0, 1 + day, hour, minute).getTime());
    });
  }
  return {
    instants: instants.map((found) => [...found].sort((a, b) => a - b)),
    changes: changes(fromYear, toYear),
  };
}

/** As crontab has it: with both day fields given, one of them is enough. */
function isOn({ daysOfMonth, months, daysOfWeek }: LocalTimes, noon: Date): boolean {
  if (months !== undefined && !months.includes(noon.getMonth() + 1)) return false;
  const onDate = daysOfMonth?.includes(noon.getDate());
  const onWeekday = daysOfWeek?.includes(noon.getDay());
  if (onDate === undefined && onWeekday === undefined) return true;
  return onDate === true || onWeekday === true;
}

function changes(fromYear: number, toYear: number): number[] {
  const offsetAt = (ms: number): number => new Date(ms).getTimezoneOffset();
  const found: number[] = [];
  for (let dayMs = Date.UTC(fromYear, 0, 2); dayMs < Date.UTC(toYear, 11, 31); dayMs += DAY_MS) {
    if (offsetAt(dayMs) === offsetAt(dayMs + DAY_MS)) continue;
    let ms = dayMs;
    while (offsetAt(ms) === offsetAt(ms + HOUR_MS)) ms += HOUR_MS;
    found.push(ms);
  }
  return found;
}

if (import.meta.main) {
  const question = JSON.parse(await text(process.stdin)) as LocalClockQuestion;
  const answers: Record<string, LocalClockAnswer> = {};
  for (const timeZone of question.zones) {
    process.env['TZ'] = timeZone;
    answers[timeZone] = answer(question);
  }
  process.stdout.write(JSON.stringify(answers));
}
