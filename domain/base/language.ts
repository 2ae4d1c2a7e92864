/** The languages in which we prompt and write to users; most of them write German (docs/platform.md section 12). */
export type PromptLanguage = 'de' | 'en';

const words = (list: string): ReadonlySet<string> => new Set(list.split(/\s+/));

/** Words that one of the two languages uses all the time and the other one does not ("in", "an", "die" tell nothing). */
const COMMON_WORDS: Readonly<Record<PromptLanguage, ReadonlySet<string>>> = {
  de: words(`aber alle aller alles als am auch auf aus bei beim bis bitte damit dann das dass dem den der des dich
    diese diesem diesen dieser dieses dir doch du durch ein eine einem einen einer eines er erinnere es euch etwas
    finde fuer für ganz gib haben hat heute hilf ich ihm ihn ihr im immer ins ist ja jede jeden jeder jedes kann kein
    keine letzten liste mach mache man mein meine meinem meinen meiner meines mich mir mit machen morgen nach neue neuen planen nicht
    noch nur ob oder ohne pro plane schlage schreib schreibe sein seine sich sie sind so soll sollen suche täglich
    taeglich tag tage über ueber um und uns unser unsere vom von vor vorschlagen was welche wenn wer werden wie will
    wir wird wo woche wöchentlich woechentlich zeit zu zum zur zwischen`),
  en: words(`a about after all and any are as at be been before best but by can check create daily did do does each
    every find for from get give has have help how i if into is it its keep latest like list make me month more my
    new next no not of off on once one or our out over plan please reading remind should show so some suggest summarise
    summarize than that the their them then these this those to today track until up upcoming update us was we week
    weekly what when where which who why will with without work write you your`),
};

/** Letters beside a digit are parts of ids, which are in no language. */
const WORDS = /(?<![\p{L}\d])\p{L}+(?![\p{L}\d])/gu;
/** An umlaut says as much as two common words. */
const UMLAUT_WEIGHT = 2;
const MAX_CHARS = 4_000;

/**
 * The language of a mission, by its own words; German where they do not tell (docs/platform.md section 12).
 *
 * @param texts title, objective and concept; absent ones are null
 */
export function languageOf(texts: readonly (string | null)[]): PromptLanguage {
  const signs = languageSigns(texts.filter((part) => part !== null).join('\n'));
  return signs.en > signs.de ? 'en' : 'de';
}

/** How much in the beginning of a text speaks for each language; nothing where it is too short to tell. */
export function languageSigns(text: string): Readonly<Record<PromptLanguage, number>> {
  const found = text.slice(0, MAX_CHARS).normalize('NFC').toLowerCase().match(WORDS) ?? [];
  const count = (language: PromptLanguage): number =>
    found.filter((word) => COMMON_WORDS[language].has(word)).length;
  const german = count('de') + UMLAUT_WEIGHT * found.filter((word) => /[äöüß]/.test(word)).length;
  return { de: german, en: count('en') };
}
