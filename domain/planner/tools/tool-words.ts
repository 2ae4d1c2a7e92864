/**
 * Which modules of the app a mission speaks of. Beginnings of words, German and English, in lower case; a word that is missing
 * here costs a round more (`find_tools`), a wrong one some tokens.
 */
const WORDS: Readonly<Record<string, string>> = {
  todo: 'erledig abhak abgehak checklist complete',
  places: 'ort orte orten places',
  drink: 'trink wasser getränk drink water hydrat',
  food: 'mahlzeit ernähr kalorie essen meal food nutrition calorie',
  news: 'news nachricht presse schlagzeile headline',
  articles: 'artikel article leseliste lesezeichen bookmark',
  'news-research': 'news nachricht recherche recherchier research rss',
  journal: 'tagebuch journal diary',
  habits: 'gewohnheit habit',
  goals: 'ziele zielen goal',
  contacts: 'kontakt contact',
  mood: 'stimmung mood',
  finance: 'finanz ausgabe einnahme geld haushaltsbuch finance expense income spending',
  times: 'zeiterfass stoppuhr timer timesheet',
  events: 'veranstaltung',
  quiz: 'quiz karteikarte lernkarte flashcard',
  invoices: 'rechnung faktura invoice',
  library: 'buch bücher roman film filme serie serien hörb book books novel movie films series watchlist',
  broadcast: 'newsletter rundbrief kampagne campaign mailing',
  website: 'website webseite homepage landingpage landing',
  writing: 'blog blogartikel essay entwurf entwürfe drafts draft schreibprojekt pressemitteilung kolumne',
  comic: 'comic manga',
  augur: 'omen orakel horoskop tarot vorzeichen oracle horoscope',
  lasts: 'abschied farewell',
};

const MODULES_OF_WORDS: ReadonlyMap<string, readonly string[]> = (() => {
  const modules = new Map<string, string[]>();
  for (const [module, words] of Object.entries(WORDS))
    for (const word of words.split(' ')) modules.set(word, [...(modules.get(word) ?? []), module]);
  return modules;
})();
const LENGTHS: readonly number[] = [...new Set([...MODULES_OF_WORDS.keys()].map((word) => word.length))];
/** So short that they begin many other words: only whole they count. */
const WHOLE = 5;
const MAX_CHARS = 8_000;

/** Modules in the order in which the texts first speak of them. */
export function modulesInWords(texts: readonly (string | null)[]): string[] {
  const text = texts
    .filter((part) => part !== null)
    .join('\n')
    .slice(0, MAX_CHARS)
    .normalize('NFC')
    .toLowerCase();
  const found = new Set<string>();
  for (const [word] of text.matchAll(/[\p{L}\d]+/gu))
    for (const length of LENGTHS) {
      if (length > word.length || (length < WHOLE && word.length > length + 1)) continue;
      for (const module of MODULES_OF_WORDS.get(word.slice(0, length)) ?? []) found.add(module);
    }
  return [...found];
}
