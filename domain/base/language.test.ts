import { describe, expect, it } from 'vitest';
import { languageOf } from './language.ts';

const GERMAN = [
  'Wochenplan',
  'Plane meine Woche',
  'Morgenroutine verbessern',
  'Finde jeden Tag drei gute Artikel',
  'Fasse meine Notizen zusammen',
  'Umzug nach Leipzig vorbereiten',
  'Jeden Montag: Steuerunterlagen sortieren',
  'Erinnere mich an die Arzttermine',
  'Lernplan für die Prüfung',
  'Gib mir Ideen für den Garten',
  'Haushalt',
  'Weekly Review machen',
  'Newsletter schreiben und Kampagne vorbereiten',
  'Was habe ich diese Woche gelernt?',
  'Deep Research zu neuen Medikamenten',
  'Recherche: aktuelle Förderungen der Stadt',
  'Rueckblick auf den Tag schreiben',
  'Meal Prep fuer die Woche',
  'Fitness: drei Einheiten pro Woche planen',
  'Budget im Blick behalten',
  'Projekt Website',
];
const ENGLISH = [
  'Plan my week',
  'Weekly review',
  'Summarise my notes',
  'Find three good articles every day',
  'Prepare the move to Leipzig',
  'Daily news about AI',
  'Help me keep track of my goals',
  'Remind me of birthdays',
  'What did I learn this week?',
  'Suggest new recipes for the weekend',
  'Reading list',
  'Get ready for the marathon',
  'Write the newsletter and keep it short',
  'Track spending and suggest what to cut',
  'My garden: what to plant next',
];

describe('a mission', () => {
  it.each(GERMAN)('%s is German', (title) => expect(languageOf([title, null, null])).toBe('de'));
  it.each(ENGLISH)('%s is English', (title) => expect(languageOf([title, null, null])).toBe('en'));

  it('is judged by all of its words', () => {
    expect(
      languageOf(['Weekly Review', 'Schau dir an, was ich geschafft habe, und plane den Rest', null]),
    ).toBe('de');
    expect(languageOf(['Über mich', null, 'Read my notes and suggest what to do next with them'])).toBe('en');
  });

  it('without words, or with words of neither language, counts as German', () => {
    for (const texts of [
      [],
      [null],
      [''],
      ['🚲 12345'],
      ['Привет мир'],
      ['Lorem ipsum dolor'],
      ['1a-2be-3as'],
    ])
      expect(languageOf(texts)).toBe('de');
  });
});
