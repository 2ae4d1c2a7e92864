import { describe, expect, it } from 'vitest';
import { researchKindOf, researchNoteSchema, researchQueryOf } from './research.ts';
import { noteOfAnswer, noteOfArticles } from './research-note.ts';

const BOTH = { shallow: true, deep: true };
const NO_DEEP = { shallow: true, deep: false };
const kindOf = (objective: string, offered = BOTH) =>
  researchKindOf({ objective, conceptMarkdown: null }, offered);

describe('the words of a mission', () => {
  it.each([
    'Mach eine Recherche zu Balkonpflanzen',
    'RECHERCHE: Balkonpflanzen',
    'research balcony plants',
    'Daily news, please',
    'die aktuellen Preise',
    'Aktuelle Lage',
    'Das neueste zu Wärmepumpen',
    'Finde einen Artikel',
    'Bitte suche, was es gibt.',
    'Online-Recherche',
    // Beginnings of words, as the web app matches them.
    ...['Recherchiere Preise', 'bitte recherchieren', 'Recherchen zum Garten'],
    ...["today's weather", 'Historisches zum Tag', 'history of my town', 'Schreibe den Newsletter'],
    ...['Researchers unite', 'suche_nach', 'Suchergebnisse? Suche!', 'Neuestes aus Ulm', 'Aktuelles'],
  ])('opt into shallow research: %s', (objective) => expect(kindOf(objective)).toBe('shallow'));

  it.each([
    'deep research on heat pumps',
    'Deep-Research zu Wärmepumpen',
    'Eine tiefe Recherche',
    'mit einer umfassenden\nRecherche',
    'Hintergrundrecherche zu X',
    'a deep dive into heat pumps',
  ])('opt into deep research: %s', (objective) => expect(kindOf(objective)).toBe('deep'));

  it.each([
    'Versuche, meine Woche zu planen',
    'Besuche planen, Untersuche nichts',
    'Empfinde ich das so?',
    'Prähistorisches, Goodnews, untoday',
    'Such etwas, find etwas, aktuell, neu',
    'Plane die Woche',
    '',
  ])('that only look alike opt into nothing: %s', (objective) => expect(kindOf(objective)).toBeNull());

  it.each([
    'Plane die Woche ohne Recherche',
    'Finde freie Termine. Keine Recherche!',
    'Suche im Kalender, ohne Internetrecherche',
    'Suche in den Notizen (keine weitere Recherche)',
    'Aktuelle Aufgaben, ohne Web-Recherche',
    'Finde etwas, ohne zu recherchieren',
    'Finde etwas, bitte nicht recherchieren',
    'Finde etwas, aber recherchiere nicht.',
    'Today: plan my day, no research',
    'Find news in my notes without web research',
    "Don't research, just plan today",
    'deep dive into my notes, no research please',
    'OHNE RECHERCHE: Hintergrundrecherche',
  ])('may decline it, which wins: %s', (objective) => expect(kindOf(objective)).toBeNull());

  it('decline it in the concept as well', () =>
    expect(
      researchKindOf({ objective: 'Finde etwas', conceptMarkdown: '- keine Recherche\n' }, BOTH),
    ).toBeNull());

  it.each([
    'Ich habe keine Zeit für Recherche: suche du',
    'Keine Idee, recherchiere bitte',
    'Plane nicht ohne Recherche',
    'Recherchiere nicht nur Preise',
    'Keine Fragen. Recherche zu Zelten',
    'Ohne Zelt? Suche eines',
  ])('that only come near declining it do not: %s', (objective) => expect(kindOf(objective)).toBe('shallow'));

  it('count in the concept as well', () =>
    expect(researchKindOf({ objective: null, conceptMarkdown: '## Deep dive' }, BOTH)).toBe('deep'));

  it('bring only what the server offers', () => {
    expect(kindOf('umfassende Recherche', NO_DEEP)).toBe('shallow');
    expect(kindOf('Hintergrundrecherche', NO_DEEP)).toBe('shallow');
    expect(kindOf('deep dive', NO_DEEP)).toBeNull();
    expect(kindOf('Finde etwas', { shallow: false, deep: true })).toBeNull();
    expect(kindOf('tiefe Recherche', { shallow: false, deep: false })).toBeNull();
  });
});

describe('the query', () => {
  const words = { title: ' Balkon ', objective: 'Finde\nneue Pflanzen', conceptMarkdown: 'SECRET' };

  it('is title and objective on one line; the concept stands in for an objective that is missing', () => {
    expect(researchQueryOf('shallow', words)).toBe('Balkon: Finde neue Pflanzen');
    expect(researchQueryOf('deep', { ...words, objective: null })).toBe('Balkon: SECRET');
    expect(researchQueryOf('deep', { title: null, objective: '', conceptMarkdown: null })).toBe('');
  });

  it('is bounded and holds no ciphertext', () => {
    expect(
      researchQueryOf('shallow', { ...words, objective: 'wort '.repeat(500) }).length,
    ).toBeLessThanOrEqual(300);
    expect(researchQueryOf('deep', { ...words, objective: 'wort '.repeat(500) }).length).toBeLessThanOrEqual(
      1_000,
    );
    expect(researchQueryOf('shallow', { ...words, title: 'enc:1:AAAA.BBBB' })).not.toContain('AAAA');
  });
});

describe('a note', () => {
  const article = {
    url: 'https://a.example/1',
    title: 'Titel',
    excerpt: 'Auszug.',
    publishedAt: '2026-05-04',
  };

  it('of articles names each with its source', () => {
    const note = noteOfArticles([article, { ...article, url: 'https://b.example', publishedAt: '' }], 'de');
    expect(note.text).toBe(
      'Titel\n2026-05-04\nAuszug.\nhttps://a.example/1\n\nTitel\nAuszug.\nhttps://b.example',
    );
    expect(note.urls).toEqual(['https://a.example/1', 'https://b.example']);
    expect(researchNoteSchema.parse(JSON.parse(JSON.stringify(note)))).toEqual(note);
  });

  it('of a search without results says so, in the language of the mission', () => {
    expect(noteOfArticles([], 'de')).toMatchObject({
      outcome: 'done',
      text: 'Die Suche hat keine Artikel gefunden.',
    });
    expect(noteOfArticles([], 'en').text).toBe('The search found no articles.');
  });

  it('is bounded, whatever came', () => {
    const long = 'Ein Satz. '.repeat(5_000);
    const many = Array.from({ length: 500 }, (_, n) => ({
      ...article,
      excerpt: long,
      title: long,
      url: `https://a.example/${n}`,
    }));
    expect(noteOfArticles(many, 'de').text.length).toBeLessThanOrEqual(10_000);
    expect(noteOfArticles(many, 'de').urls.length).toBeLessThanOrEqual(12);
    const citations = many.map(({ url }) => ({ url, title: long, snippet: long }));
    const deep = noteOfAnswer({ answer: long, citations });
    expect(deep.text.length).toBeLessThanOrEqual(10_000);
    expect(deep.urls).toHaveLength(40);
    expect(noteOfAnswer({ answer: 'Bericht.', citations: citations.slice(0, 1) }).text).toMatch(
      /^Bericht\.\n\nEin Satz/,
    );
  });
});
