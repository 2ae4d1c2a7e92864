/** Addresses with a scheme, and those that people write without one. */
const URLS =
  /(?:\b[a-z][a-z0-9+.-]{1,15}:\/\/|\bwww\.|\b(?:[a-z0-9-]{1,63}\.){1,5}[a-z]{2,24}(?=[/?]))[^\s<>"'`\\^{|}\u00AB\u00BB\u201C-\u201F]*/giu;
const MAX_URLS = 1_000;
const MAX_URL_CHARS = 2_000;

/** Every address in a text, as `normalUrl` writes it, each once; bounded. */
export const urlsIn = (text: string): string[] => [
  ...new Set(
    [...text.matchAll(URLS)]
      .slice(0, MAX_URLS)
      .map(([url]) => normalUrl(url))
      .filter((url) => url !== ''),
  ),
];

/**
 * Two ways to write one address give the same text: no web scheme, no `www.`, host in lower case, neither the stop of
 * the sentence it stood in nor a slash at its end. Idempotent.
 */
export function normalUrl(url: string): string {
  const whole = url.slice(0, MAX_URL_CHARS).replace(/[.,;:!?*_~)\]/]+$/u, '');
  const [, host = '', rest = ''] = /^((?:[a-z][a-z0-9+.-]*:\/\/)?[^/?#]*)(.*)$/isu.exec(whole) ?? [];
  return (
    host
      .toLowerCase()
      .replace(/^https?:\/\//, '')
      .replace(/^www\./, '')
      .replace(/:(?:80|443)$/, '') + rest
  );
}

/** Addresses in a text that are none of the known ones, as they stand there. */
export function unknownUrlsIn(text: string, knownUrls: ReadonlySet<string>): string[] {
  return urlsIn(text).filter((url) => !knownUrls.has(url));
}

/** For `unknownUrlsIn`. */
export const knownUrlSet = (urls: readonly string[]): ReadonlySet<string> => new Set(urls.map(normalUrl));

/** The text with `mark` behind each address that is none of the known ones. */
export const markUnknownUrls = (text: string, knownUrls: ReadonlySet<string>, mark: string): string =>
  text.replace(URLS, (found) => {
    const url = normalUrl(found);
    if (url === '' || knownUrls.has(url)) return found;
    // Behind the address, before the stop of its sentence.
    const stop = /[.,;:!?)\]]+$/u.exec(found)?.[0] ?? '';
    return `${found.slice(0, found.length - stop.length)} ${mark}${stop}`;
  });
