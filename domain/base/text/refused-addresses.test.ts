import { describe, expect, it } from 'vitest';
import { namesRefusedAddress, refusedAddressIn } from './refused-addresses.ts';
import { checkArguments, TOOL_CATALOG } from '#domain/planner/tools/tool-catalog.ts';

describe('an address that is a program or a document', () => {
  it.each([
    'javascript:alert(1)',
    'JaVaScRiPt:alert(1)',
    ' \u0001javascript:alert(1)',
    'java\nscript:alert(1)',
    'java\tscript\n:alert(1)',
    'java\u200bscript:alert(1)',
    'java\u00adscript:alert(1)',
    'jav&#x61;script:alert(1)',
    'javascript&colon;alert(1)',
    'javascript&#58;alert(1)',
    '&#106&#97&#118&#97&#115&#99&#114&#105&#112&#116&#58&#97&#108&#101&#114&#116(1)',
    'ｊａｖａｓｃｒｉｐｔ:alert(1)',
    'vbscript:msgbox(1)',
    'data:text/html,<script>alert(1)</script>',
    'data:;base64,PHNjcmlwdD4=',
    'data:,x',
    'DATA: text/html,x',
    'Klick [hier](javascript:alert(1)) jetzt',
    'Klick [hier]( java\nscript:alert(1)) jetzt',
    '[hier]: javascript:alert(1)',
    '<javascript:alert(1)>',
    '<a href="javascript: alert(1)">x</a>',
    "<a href=' \n java\tscript:alert(1)'>x</a>",
    '<a href=data:text/html,x>x</a>',
    '<img src="data:image/svg+xml;base64,AAAA">',
    '<form action="vbscript: x">',
    '<meta http-equiv="refresh" content="0; url=javascript:alert(1)">',
    'background: url( javascript:alert(1) )',
    'Lies javascript:alert(1) dazu',
  ])('is found: %j', (text) => expect(namesRefusedAddress('content', text)).toBe(true));

  it.each(['javascript: alert(1)', ' Data: x, y', 'vb\nscript: x y'])(
    'is found alone in a field for addresses: %j',
    (text) => {
      for (const field of ['url', 'ctaHref', 'imageUrl', 'src', 'urls', 'link'])
        expect(namesRefusedAddress(field, text)).toBe(true);
      expect(namesRefusedAddress('title', text.replace('\n', ' '))).toBe(false);
    },
  );

  it.each([
    'JavaScript: The Good Parts',
    'Learn JavaScript, then TypeScript: one hour a day',
    'Data: three measurements, all fine',
    'Metadata:x,y and the data: see the table below',
    'Daten: Montag 3, Dienstag 4',
    'https://example.org/?q=data:text',
    'javascript\n- closures\n- promises',
    'Kapitel 3 – JavaScript:\n- closures',
    '<a href="https://example.org/javascript">x</a>',
    'und/oder, data/and, 10:30',
  ])('is none: %j', (text) => expect(namesRefusedAddress('content', text)).toBe(false));
});

it('stands in nested values and names as well, and is told by the name of the argument', () => {
  expect(refusedAddressIn({ title: 'x', props: { items: [{ ctaHref: 'javascript: x' }] } })).toBe('props');
  expect(refusedAddressIn({ props: { 'javascript:x': 1 } })).toBe('props');
  expect(refusedAddressIn({ urls: ['https://a.example', 'data: a b'] })).toBe('urls');
  expect(refusedAddressIn({ title: 'x', count: 3, none: null })).toBeNull();
});

it('makes an error of a call that the model can correct, without the value', () => {
  const tool = TOOL_CATALOG.get('save_article');
  if (tool === undefined) throw new Error('no such tool');
  const checked = checkArguments(tool, { url: 'javascript:alert(4711)', title: 'x' });
  expect(checked).toEqual({
    ok: false,
    problems: expect.stringMatching(/^url: .*https: address/) as unknown,
  });
  expect(JSON.stringify(checked)).not.toContain('4711');
  expect(checkArguments(tool, { url: 'https://a.example', title: 'x' }).ok).toBe(true);
});
