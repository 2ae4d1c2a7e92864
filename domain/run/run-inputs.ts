import type { PromptLanguage } from '#domain/base/language.ts';

/** A record that the run may read, decrypted where it was encrypted; a field that stays closed is absent. */
export interface ReadableRecord {
  readonly module: string;
  readonly table: string;
  readonly id: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Why the run could not read an input, or a part of it. */
export const UNREADABLE_REASONS = [
  'missing',
  /** Of a kind that devices keep to themselves: the record may well be there. */
  'not-synced',
  'deleted',
  'out-of-scope',
  'undecryptable',
  'no-grant',
  'unknown-kind',
  'too-large',
  /** Stands for this input and all behind it. */
  'too-many',
] as const;
export type UnreadableReason = (typeof UNREADABLE_REASONS)[number];

const TEXTS: Readonly<Record<PromptLanguage, Readonly<Record<UnreadableReason, string>>>> = {
  de: {
    missing: 'nicht gefunden',
    'not-synced': 'noch nur auf dem Gerät',
    deleted: 'gelöscht',
    'out-of-scope': 'verschlüsselt und nicht in der Freigabe enthalten',
    undecryptable: 'lässt sich nicht entschlüsseln',
    'no-grant': 'verschlüsselt, und es gibt keine gültige Freigabe',
    'unknown-kind': 'unbekannte Art von Eintrag',
    'too-large': 'zu groß, um gelesen zu werden',
    'too-many': 'einer von mehr Einträgen, als eine Mission lesen kann; auch alle danach fehlen',
  },
  en: {
    missing: 'not found',
    'not-synced': 'on the device only so far',
    deleted: 'deleted',
    'out-of-scope': 'encrypted and not covered by the grant',
    undecryptable: 'does not decrypt',
    'no-grant': 'encrypted, and there is no valid grant',
    'unknown-kind': 'unknown kind of record',
    'too-large': 'too large to be read',
    'too-many': 'one of more records than a mission can read; all behind it are left out as well',
  },
};

/** In words, for the model and for the user; a reason that an older version stored is given as it is. */
export function unreadableReasonText(language: PromptLanguage, reason: string): string {
  const known = UNREADABLE_REASONS.find((code) => code === reason);
  return known === undefined ? reason : TEXTS[language][known];
}
