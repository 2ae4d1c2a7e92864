import type { InjectionMark } from '#domain/planner/injection/injection-codes.ts';
import type { PromptLanguage } from '#domain/base/language.ts';
import type { STEP_FLAGS } from './step-review.ts';

/** What a step may bear: a mark of its arguments, or where they come from. */
export type StepFlag = InjectionMark | (typeof STEP_FLAGS)[number];

/** What a flag says of a step, for the user; completes "step 2". */
export const FLAG_TEXTS: Readonly<Record<PromptLanguage, Readonly<Record<StepFlag, string>>>> = {
  de: {
    'ignore-instructions': 'will Anweisungen außer Kraft setzen',
    'role-change': 'will der KI eine andere Rolle geben',
    'system-prompt': 'fragt nach den Anweisungen der KI',
    'fake-delimiter': 'ahmt technische Steuerzeichen nach',
    'tool-call': 'enthält einen Werkzeugaufruf als Text',
    exfiltration: 'will Daten an eine Adresse senden',
    secrecy: 'soll vor dir verborgen bleiben',
    credentials: 'fragt nach Passwörtern oder Schlüsseln',
    'encoded-payload': 'enthält verschlüsselt wirkenden Text',
    'hidden-text': 'enthält unsichtbaren Text',
    'addresses-model': 'wendet sich an eine KI',
    'fake-authority': 'behauptet eine Erlaubnis',
    'unknown-url': 'nennt eine Adresse, die in keiner unverdächtigen Quelle stand',
    'from-flagged-input': 'stammt aus einer verdächtigen Quelle',
    'beside-flagged-input': 'entstand, nachdem die KI eine verdächtige Quelle gelesen hatte',
  },
  en: {
    'ignore-instructions': 'wants instructions ignored',
    'role-change': 'wants the AI to play another role',
    'system-prompt': "asks for the AI's instructions",
    'fake-delimiter': 'imitates technical control marks',
    'tool-call': 'holds a tool call as text',
    exfiltration: 'wants data sent to an address',
    secrecy: 'is meant to be hidden from you',
    credentials: 'asks for passwords or keys',
    'encoded-payload': 'holds encoded text',
    'hidden-text': 'holds invisible text',
    'addresses-model': 'speaks to an AI',
    'fake-authority': 'claims a permission',
    'unknown-url': 'names an address that stood in no unsuspected source',
    'from-flagged-input': 'comes from a suspicious source',
    'beside-flagged-input': 'was planned after the AI had read a suspicious source',
  },
};

/** A flag in words; null for one that this version does not know. */
export function flagText(language: PromptLanguage, flag: string): string | null {
  const texts: Readonly<Record<string, string>> = FLAG_TEXTS[language];
  return Object.hasOwn(texts, flag) ? (texts[flag] ?? null) : null;
}
