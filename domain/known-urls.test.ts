import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { knownUrlSet, markUnknownUrls, normalUrl, unknownUrlsIn, urlsIn } from './known-urls.ts';

describe('addresses', () => {
  it('are found with and without a scheme, in brackets and at the end of sentences', () => {
    const text =
      'Siehe https://A.example/Pfad?x=1, (www.b.example), [c](http://c.example/d). Und e.example/f! ftp://g.example/h "https://i.example"';
    expect(urlsIn(text)).toEqual([
      ...['a.example/Pfad?x=1', 'b.example', 'c.example/d', 'e.example/f', 'ftp://g.example/h', 'i.example'],
    ]);
  });

  it('are none in ordinary words', () =>
    expect(urlsIn('z.B. und/oder, Nr. 5/2026, 10:30, Datei.txt, usw. 3.5 km, Frau Dr. Meier')).toEqual([]));

  it('have one normal form', () =>
    fc.assert(
      fc.property(fc.webUrl({ withQueryParameters: true, withFragments: true }), (url) => {
        expect(normalUrl(normalUrl(url))).toBe(normalUrl(url));
        expect(normalUrl(url.replace(/^https?/, 'http'))).toBe(normalUrl(url.replace(/^https?/, 'https')));
      }),
    ));
});

describe('an address that is not known', () => {
  const known = knownUrlSet(['https://www.mana.example/a', 'https://b.example']);

  it('is told from known ones by path and query, not by scheme, www or letter case of the host', () => {
    expect(unknownUrlsIn('http://MANA.example/a/ b.example/ https://b.example', known)).toEqual([]);
    expect(unknownUrlsIn('https://b.example/?d=geheim https://mana.example/b', known)).toEqual([
      'b.example/?d=geheim',
      'mana.example/b',
    ]);
  });

  it('is marked where it stands, before the stop of its sentence', () =>
    expect(markUnknownUrls('Lies https://b.example und https://evil.example/x.', known, '[?]')).toBe(
      'Lies https://b.example und https://evil.example/x [?].',
    ));
});
