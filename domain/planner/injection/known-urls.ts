import { readableView } from '#domain/base/text/injection-views.ts';
import { namesRefusedAddress } from '#domain/base/text/refused-addresses.ts';

/**
 * Addresses with a scheme, as browsers read them (any number of slashes, either way round, and none at all behind a scheme
 * of the web); `//host/path`, which takes the scheme of the page; and those that people write without one.
 */
const URLS =
  /(?:\b(?:https?|ftp|wss?):[/\\]{0,64}(?=[^\s.,;:!?)/\\<>"'`])|\b[a-z][a-z0-9+.-]{1,15}:[/\\]{2}|(?<![\p{L}\p{N}:/\\.])[/\\]{2,8}(?=[\p{L}\p{N}_-]{1,63}[./\\:?#])|\bwww\.|\b(?:[a-z0-9-]{1,63}\.){1,5}[a-z]{2,24}(?=[/\\?]|:\d))[^\s<>"'`^{|}\u00AB\u00BB\u201C-\u201F]*/giu;

/** Every address in a text, as `normalUrl` writes it, each once. HTML entities in it count as the characters they are. */
export const urlsIn = (text: string): string[] => {
  const found = new Set<string>();
  for (const [url] of addressView(text).matchAll(URLS)) found.add(normalUrl(url));
  found.delete('');
  return [...found];
};

/** Browsers leave line breaks and tabs in an address out. */
const addressView = (text: string): string => readableView(text).replace(/(?<=[:/\\])[\t\n]+(?=[/\\])/g, '');

/**
 * Two ways to write one address give the same text: no web scheme, no `www.`, slashes for backslashes, host in lower case,
 * neither the stop of the sentence it stood in nor a slash at its end. Idempotent.
 */
export function normalUrl(url: string): string {
  const whole = withoutEnd(url, '.,;:!?*_~)]/\\');
  const scheme = /^[a-z][a-z0-9+.-]{1,15}:/iu.exec(whole)?.[0].toLowerCase() ?? '';
  const behind = whole.slice(isScheme(scheme, whole) ? scheme.length : 0).replace(/^[/\\]+/, '');
  const hostEnd = behind.search(/[/\\?#]/);
  const [host, rest] = hostEnd < 0 ? [behind, ''] : [behind.slice(0, hostEnd), behind.slice(hostEnd)];
  const normalHost = host
    .toLowerCase()
    .replace(/^www\./, '')
    .replace(/:(?:80|443)$/, '');
  return (isScheme(scheme, whole) && !WEB.has(scheme) ? `${scheme}//` : '') + normalHost + slashed(rest);
}

const WEB: ReadonlySet<string> = new Set(['http:', 'https:']);

/** `evil.example:` in front of a port looks like one, but no slash follows. */
const isScheme = (scheme: string, url: string): boolean =>
  scheme !== '' && (/^(?:https?|ftp|wss?):$/.test(scheme) || /[/\\]/.test(url.charAt(scheme.length)));

/** Up to the query, backslashes are slashes to a browser. */
function slashed(rest: string): string {
  const end = rest.search(/[?#]/);
  return end < 0 ? rest.replaceAll('\\', '/') : rest.slice(0, end).replaceAll('\\', '/') + rest.slice(end);
}

/** Without any of the characters at its end; by hand, since `[…]+$` would look at each of them again and again. */
function withoutEnd(text: string, characters: string): string {
  let end = text.length;
  while (end > 0 && characters.includes(text.charAt(end - 1))) end -= 1;
  return text.slice(0, end);
}

/** Addresses in a text that are none of the known ones, as they stand there. */
export function unknownUrlsIn(text: string, knownUrls: ReadonlySet<string>): string[] {
  return urlsIn(text).filter((url) => !knownUrls.has(url));
}

/** For `unknownUrlsIn`. */
export const knownUrlSet = (urls: readonly string[]): ReadonlySet<string> => new Set(urls.map(normalUrl));

/** The text with `mark` behind each word that holds an address that is none of the known ones. */
export const markUnknownUrls = (text: string, knownUrls: ReadonlySet<string>, mark: string): string =>
  text.replace(/\S+/gu, (word) => {
    if (unknownUrlsIn(word, knownUrls).length === 0 && !namesRefusedAddress('', word)) return word;
    // Behind the address, before the stop of its sentence.
    const address = withoutEnd(word, '.,;:!?)]');
    return `${address} ${mark}${word.slice(address.length)}`;
  });
