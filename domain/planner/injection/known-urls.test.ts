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

  it.each([
    ['//evil.example/x', 'evil.example/x'],
    ['//host/path', 'host/path'],
    ['(//evil.example)', 'evil.example'],
    ['///evil.example/x', 'evil.example/x'],
    ['/\\evil.example/x', 'evil.example/x'],
    ['\\\\evil.example\\x', 'evil.example/x'],
    ['https:\\\\evil.example\\x', 'evil.example/x'],
    ['https:/evil.example/x', 'evil.example/x'],
    ['https:evil.example/x', 'evil.example/x'],
    ['https:////evil.example/x', 'evil.example/x'],
    ['hTTps://evil.example/x', 'evil.example/x'],
    ['https:/\n/evil.example/x', 'evil.example/x'],
    ['https&#58;&#47;&#x2f;evil.example&sol;x', 'evil.example/x'],
    ['https&colon;//evil&period;example/x', 'evil.example/x'],
    ['&#104;&#116;&#116;&#112;&#115;://evil.example/x', 'evil.example/x'],
    ['https&amp;#58;//evil.example/x', 'evil.example/x'],
    ['ht\u200btps://evil.exam\u00adple/x', 'evil.example/x'],
    ['ｈｔｔｐｓ://evil.example/x', 'evil.example/x'],
    ['evil.example:8080/x', 'evil.example:8080/x'],
  ])('are found as browsers read them: %j', (text, url) => {
    expect(urlsIn(`Siehe ${text} dort`)).toEqual([url]);
    expect(normalUrl(url)).toBe(url);
  });

  it('are all found, however many stand in front, and count as a whole', () => {
    const many = Array.from({ length: 3_000 }, (_, index) => `https://a.example/${index}`).join(' ');
    expect(unknownUrlsIn(`${many} https://evil.example/x`, knownUrlSet(urlsIn(many)))).toEqual([
      'evil.example/x',
    ]);
    const long = `https://a.example/${'x'.repeat(5_000)}`;
    expect(unknownUrlsIn(`${long}?d=secret`, knownUrlSet([long]))).toHaveLength(1);
  });

  it('are none in ordinary words', () =>
    expect(
      urlsIn(
        'z.B. und/oder, Nr. 5/2026, 10:30, Datei.txt, usw. 3.5 km, Frau Dr. Meier; C:\\Daten\\x, a // b, http: x',
      ),
    ).toEqual([]));

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

  it('is marked in whatever way it is written, and where it is a program', () => {
    expect(markUnknownUrls('Lies https&colon;//evil.example/x, dann //evil.example.', known, '[?]')).toBe(
      'Lies https&colon;//evil.example/x [?], dann //evil.example [?].',
    );
    expect(markUnknownUrls('Klick [hier](javascript:alert(1)).', known, '[?]')).toContain('[?]');
  });

  it('is marked where it stands, before the stop of its sentence', () =>
    expect(markUnknownUrls('Lies https://b.example und https://evil.example/x.', known, '[?]')).toBe(
      'Lies https://b.example und https://evil.example/x [?].',
    ));
});
