import { parseCron } from './cron.ts';
import type { PromptLanguage } from '#domain/base/language.ts';
import type { Cadence } from '#domain/wire/mission.ts';

const WEEKDAYS: Readonly<Record<PromptLanguage, readonly string[]>> = {
  de: ['Sonntag', 'Montag', 'Dienstag', 'Mittwoch', 'Donnerstag', 'Freitag', 'Samstag'],
  en: ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'],
};
const two = (value: number): string => String(value).padStart(2, '0');
const MINUTES: readonly (readonly [number, Readonly<Record<PromptLanguage, string>>])[] = [
  [1_440, { de: 'Tage', en: 'days' }],
  [60, { de: 'Stunden', en: 'hours' }],
  [1, { de: 'Minuten', en: 'minutes' }],
];

/** How often a mission runs, as people say it: `every 3 hours`, `jeden Montag um 08:00`. By the user's clock. */
export function cadenceWords(cadence: Cadence, language: PromptLanguage): string {
  const isGerman = language === 'de';
  switch (cadence.kind) {
    case 'manual':
      return isGerman ? 'nur von Hand' : 'only by hand';
    case 'interval': {
      const unit = MINUTES.find(([minutes]) => cadence.everyMinutes % minutes === 0);
      if (unit === undefined) return '';
      const [minutes, names] = unit;
      return `${isGerman ? 'alle' : 'every'} ${cadence.everyMinutes / minutes} ${names[language]}`;
    }
    case 'daily': {
      const at = `${two(cadence.atHour)}:${two(cadence.atMinute)}`;
      return isGerman ? `täglich um ${at}` : `daily at ${at}`;
    }
    case 'weekly': {
      const day = WEEKDAYS[language][cadence.dayOfWeek] ?? '';
      const at = `${two(cadence.atHour)}:00`;
      return isGerman ? `jeden ${day} um ${at}` : `every ${day} at ${at}`;
    }
    case 'cron':
      // Free text, unless it can be read.
      return parseCron(cadence.expression) === null ? '' : `cron ${cadence.expression}`;
  }
}
