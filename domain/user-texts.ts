import type { FailureCode } from './run.ts';

/**
 * What users read when a run could not do its work: why, and what to do. In German, as most users write German
 * (contract section 12). A failed iteration often means that the mission's own language cannot be read.
 */
export const FAILURE_TEXTS: Readonly<Record<FailureCode, string>> = {
  'grant-absent':
    'Diese Mission ist verschlüsselt und hat keine Freigabe für den Server. Öffne die Mission in der App und erteile die Freigabe, dann läuft sie beim nächsten Termin im Hintergrund.',
  'grant-not-configured':
    'Auf diesem Server sind Freigaben nicht eingerichtet. Verschlüsselte Missionen laufen bis dahin nur in der geöffneten App.',
  'grant-expired':
    'Die Freigabe dieser Mission ist abgelaufen. Öffne die Mission in der App und erneuere die Freigabe.',
  'grant-malformed':
    'Die Freigabe dieser Mission ist beschädigt. Öffne die Mission in der App und erteile die Freigabe neu.',
  'grant-wrap-rejected':
    'Die Freigabe dieser Mission passt nicht zum Schlüssel des Servers oder wurde verändert. Öffne die Mission in der App und erteile die Freigabe neu.',
  'grant-revoked':
    'Die Freigabe dieser Mission wurde widerrufen. Soll sie wieder im Hintergrund laufen, erteile in der App eine neue Freigabe.',
  'grant-unknown':
    'Die Freigabe dieser Mission ist hier nicht bekannt. Öffne die Mission in der App und erteile die Freigabe neu.',
  'grant-zero-knowledge':
    'Der Zero-Knowledge-Modus ist aktiv: Der Server kann nichts entschlüsseln. Die Mission läuft nur in der geöffneten App; für Läufe im Hintergrund schalte den Modus in den Einstellungen aus.',
  'grant-vault-missing':
    'Für dein Konto ist kein Schlüsseltresor eingerichtet. Richte ihn in den Einstellungen der App ein und erteile die Freigabe neu.',
  'grant-vault-unreadable':
    'Dein Schlüsseltresor ließ sich nicht öffnen. Wende dich an den Support, wenn das beim nächsten Termin wieder geschieht.',
  'mission-undecryptable':
    'Titel oder Ziel dieser Mission ließen sich mit der Freigabe nicht entschlüsseln. Öffne die Mission in der App, speichere sie neu und erteile die Freigabe neu.',
  'budget-exhausted':
    'Das Token-Budget des Agenten für 24 Stunden ist aufgebraucht. Der nächste Termin läuft wieder, sobald Budget frei ist; du kannst das Budget in den Einstellungen des Agenten erhöhen.',
  'gateway-unavailable':
    'Der KI-Dienst war über längere Zeit nicht erreichbar. Beim nächsten Termin wird es wieder versucht; du musst nichts tun.',
  'gateway-rejected':
    'Der KI-Dienst hat die Anfrage abgelehnt. Ändere das Ziel der Mission oder ihre Eingaben, wenn das wieder geschieht.',
  'run-interrupted':
    'Die Planung wurde unterbrochen und konnte nicht fortgesetzt werden. Beim nächsten Termin wird neu geplant; du musst nichts tun.',
};

/** Where the model planned without a closing word. */
export const planText = (steps: number): string => {
  if (steps === 0) return 'Es gab nichts zu planen.';
  return steps === 1 ? 'Ein Schritt ist vorgeschlagen.' : `${steps} Schritte sind vorgeschlagen.`;
};

/** Names inputs that the plan could not take into account; ids only, they stand in clear in the mission as well. */
export function unreadableInputsText(
  inputs: readonly { readonly table: string; readonly id: string }[],
): string {
  const names = inputs.map((input) => `${input.table}:${input.id}`).join(', ');
  return `Nicht lesbar und daher nicht berücksichtigt: ${names}. Prüfe in der App, ob es diese Einträge noch gibt und ob die Freigabe sie einschließt.`;
}

/**
 * Said after a run whose mission has a grant that will not last until the next one.
 *
 * @param timeZone IANA; both instants are shown in it
 */
export function grantEndsFirstText(expiresAtMs: number, nextRunAtMs: number, timeZone: string): string {
  const format = new Intl.DateTimeFormat('de-DE', { dateStyle: 'medium', timeStyle: 'short', timeZone });
  return `Die Freigabe dieser Mission endet am ${format.format(expiresAtMs)} und damit vor dem nächsten Termin am ${format.format(nextRunAtMs)}. Öffne die Mission in der App und erneuere die Freigabe, damit sie auch dann im Hintergrund läuft.`;
}

/** Every code a failed iteration may have: the table above is complete by its type. */
export const FAILURE_CODES = Object.keys(FAILURE_TEXTS) as FailureCode[];
