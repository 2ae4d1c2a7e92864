import { readableView } from './injection-views.ts';

/** Addresses that are programs or whole documents. Whoever opens one on the device runs what the model wrote. */
const SCHEME = /^(?:javascript|vbscript|data):/i;

/** Fields that hold an address and nothing else. */
const ADDRESS_FIELD = /(?:url|uri|href|src|link|image|icon|website)s?$/i;

/**
 * Where a link may begin in a text without blanks: in Markdown, in angle brackets, in the attributes of HTML, in what CSS loads. Then an
 * address reaches as far as browsers take it.
 */
const LINKS = /(?:\]\(|\]:|<|(?:href|src|action|poster|background|data|url)=|url\()["'<]?([a-z]{4,10}:)/giu;
/** An address in running text: no blank follows its colon, as it does in `JavaScript: The Good Parts`. */
const BARE_PROGRAM = /(?<![\p{L}\p{N}])(?:javascript|vbscript):(?=\S)/iu;
/** Data begins with a kind of content, or at once. */
const BARE_DATA =
  /(?<![\p{L}\p{N}])data:\s?(?:[;,]|(?:text|image|application|audio|video|font|multipart|message|model)\/[\w.+-]{1,60}[;,])/iu;

/**
 * Whether a text of a tool call names an address with `javascript:`, `vbscript:` or `data:`, in whatever letter case, with
 * HTML entities, invisible characters, or the line breaks, tabs and control characters that browsers leave out.
 *
 * @param field name of the argument, or of the nested field, that holds the text
 */
export function namesRefusedAddress(field: string, text: string): boolean {
  const readable = readableView(text);
  if (BARE_PROGRAM.test(readable) || BARE_DATA.test(readable)) return true;
  // As browsers read an address: nothing before it, no line breaks or tabs in it.
  const flat = readable.replace(/[\t\n]/g, '').trim();
  if (SCHEME.test(flat) && (ADDRESS_FIELD.test(field) || !/\s/.test(flat))) return true;
  for (const [, scheme = ''] of readable.replace(/\s/g, '').matchAll(LINKS))
    if (SCHEME.test(scheme)) return true;
  return false;
}

/** The path of the first argument that names a refused address, as the model may read it; null without one. */
export function refusedAddressIn(params: Readonly<Record<string, unknown>>): string | null {
  for (const [name, value] of Object.entries(params)) if (holdsRefusedAddress(name, value)) return name;
  return null;
}

/** Lists and objects nest as deeply as a reply may; a list's items have the list's name. */
function holdsRefusedAddress(name: string, value: unknown): boolean {
  if (typeof value === 'string') return namesRefusedAddress(name, value);
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(
    ([key, item]) =>
      namesRefusedAddress('', key) || holdsRefusedAddress(Array.isArray(value) ? name : key, item),
  );
}
