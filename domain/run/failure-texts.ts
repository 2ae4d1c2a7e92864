import type { PromptLanguage } from '#domain/base/language.ts';
import { FAILURE_CODES, type FailureCode } from '#domain/wire/iteration.ts';

/** What users read when a run could not do its work: why, and what to do. */
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
  'grant-key-changed':
    'Der Schlüssel deines Tresors hat sich geändert, seit diese Freigabe erteilt wurde; sie öffnet nichts mehr. Öffne die Mission in der App und erteile die Freigabe neu.',
  'mission-undecryptable':
    'Titel, Ziel oder Konzept dieser Mission ließen sich mit der Freigabe nicht entschlüsseln. Öffne die Mission in der App, speichere sie neu und erteile die Freigabe neu.',
  'mission-empty':
    'Diese Mission hat weder Titel noch Ziel noch Konzept; es gibt nichts, wonach geplant werden könnte. Öffne die Mission in der App und schreibe, was sie tun soll.',
  'mission-too-large':
    'Diese Mission ist zu groß geworden (Verlauf, Eingaben oder Texte zusammen mehrere Megabyte), um im Hintergrund zu laufen. Öffne die Mission in der App, lege eine Kopie mit weniger Text und weniger Eingaben an und archiviere diese.',
  'budget-exhausted':
    'Das Token-Budget des Agenten für 24 Stunden ist aufgebraucht. Der nächste Termin läuft wieder, sobald Budget frei ist; du kannst das Budget in den Einstellungen des Agenten erhöhen.',
  'gateway-unavailable':
    'Der KI-Dienst war über längere Zeit nicht erreichbar. Beim nächsten Termin wird es wieder versucht; du musst nichts tun.',
  'unreadable-reply':
    'Der KI-Dienst hat geantwortet, aber seine Antwort ließ sich wiederholt nicht lesen. Beim nächsten Termin wird es wieder versucht; du musst nichts tun.',
  'gateway-rejected':
    'Der KI-Dienst hat die Anfrage abgelehnt. Geschieht das wieder, wende dich an den Support; liegt es am Inhalt der Mission, ändere ihr Ziel oder ihre Eingaben.',
  'content-filtered':
    'Der KI-Anbieter hat seine Antwort zurückgehalten (Inhaltsfilter). Ändere das Ziel der Mission oder ihre Eingaben, wenn das wieder geschieht.',
  'provider-error':
    'Der KI-Anbieter hat die Planung zweimal mit einem Fehler beendet. Beim nächsten Termin wird es wieder versucht; du musst nichts tun.',
  'model-refused':
    'Die KI hat es zweimal abgelehnt, diese Mission zu planen. Ändere das Ziel der Mission oder ihre Eingaben, wenn das wieder geschieht.',
  'empty-reply':
    'Die KI hat zweimal mit nichts geantwortet. Beim nächsten Termin wird es wieder versucht; du musst nichts tun.',
  'no-plan':
    'Es kam kein Plan zustande: Die KI hat sich nur wiederholt oder die Werkzeuge der App nicht richtig aufgerufen. Beim nächsten Termin wird es wieder versucht. Geschieht es öfter, öffne die Mission und beschreibe genauer, was sie tun soll.',
  'rounds-used-up':
    'Es kam kein Plan zustande: Die KI ist mit allen Antworten, die sie in einem Lauf geben darf, zu keinem Ende gekommen. Beim nächsten Termin wird es wieder versucht. Geschieht es öfter, öffne die Mission und gib ihr weniger auf einmal zu tun.',
  'plan-cut-off':
    'Es kam kein Plan zustande: Die Antworten der KI sind wegen ihrer Länge abgebrochen. Beim nächsten Termin wird es wieder versucht; du musst nichts tun.',
  'window-too-small':
    'Die Mission passt nicht in das, was die KI dieses Servers auf einmal lesen kann. An deiner Mission liegt das nicht: Die Betreiber müssen es richten. Beim nächsten Termin wird es wieder versucht; du musst nichts tun.',
  overloaded:
    'Der Server kam zwei Stunden lang nicht dazu, diese Mission zu planen. An deiner Mission liegt das nicht. Beim nächsten Termin wird es wieder versucht; du musst nichts tun.',
  'run-interrupted':
    'Die Planung wurde unterbrochen und konnte nicht fortgesetzt werden. Beim nächsten Termin wird neu geplant; du musst nichts tun.',
  'worker-lost':
    'Dieser Lauf wurde aufgegeben: Dreimal ist der Server bei seiner Bearbeitung ausgefallen. Meist liegt das an einer außergewöhnlich großen Eingabe. Kürze sehr lange Einträge oder nimm sie aus den Eingaben der Mission; geschieht es wieder, wende dich an den Support.',
  'run-cancelled':
    'Dieser Lauf wurde abgebrochen; es wurde nichts geplant. Beim nächsten Termin läuft die Mission wieder; du musst nichts tun.',
  'run-stopped':
    'Die Mission oder ihr Agent wurde während dieses Laufs angehalten; es wurde nichts geplant. Öffne die Mission in der App und setze sie fort, wenn sie wieder laufen soll.',
  'agent-busy':
    'Der Agent dieser Mission war bis zum nächsten Termin mit anderen Missionen beschäftigt. Beim nächsten Termin wird es wieder versucht; du musst nichts tun. In den Einstellungen des Agenten kannst du mehr Missionen gleichzeitig zulassen.',
};

/** The same in English. */
export const FAILURE_TEXTS_EN: Readonly<Record<FailureCode, string>> = {
  'grant-absent':
    'This mission is encrypted, and the server was given no access to it. Open the mission in the app and grant access; it then runs in the background when it is next due.',
  'grant-not-configured':
    'This server is not set up for access to encrypted missions. Until it is, they run only while the app is open.',
  'grant-expired':
    'The access granted to this mission has expired. Open the mission in the app and renew the access.',
  'grant-malformed':
    'The access granted to this mission is damaged. Open the mission in the app and grant access again.',
  'grant-wrap-rejected':
    "The access granted to this mission does not fit the server's key, or it was changed. Open the mission in the app and grant access again.",
  'grant-revoked':
    'The access to this mission was revoked. If it is to run in the background again, grant access in the app.',
  'grant-unknown':
    'The access granted to this mission is not known here. Open the mission in the app and grant access again.',
  'grant-zero-knowledge':
    'Zero-knowledge mode is on: the server can decrypt nothing. The mission runs only while the app is open; for runs in the background, turn the mode off in the settings.',
  'grant-vault-missing':
    'There is no key vault for your account. Set one up in the settings of the app and grant access again.',
  'grant-vault-unreadable':
    'Your key vault could not be opened. Contact support if this happens again when the mission is next due.',
  'grant-key-changed':
    'The key of your vault has changed since this access was granted; it opens nothing any more. Open the mission in the app and grant access again.',
  'mission-undecryptable':
    'Title, objective or concept of this mission could not be decrypted with the access granted. Open the mission in the app, save it again and grant access again.',
  'mission-empty':
    'This mission has neither a title nor an objective nor a concept: there is nothing to plan by. Open the mission in the app and write what it is to do.',
  'mission-too-large':
    'This mission has grown too large (history, inputs or texts of several megabytes together) to run in the background. Open the mission in the app, make a copy with less text and fewer inputs, and archive this one.',
  'budget-exhausted':
    "The agent's token budget for 24 hours is used up. The mission runs again as soon as there is budget; you can raise it in the settings of the agent.",
  'gateway-unavailable':
    'The AI service could not be reached for a long time. It is tried again when the mission is next due; you need not do anything.',
  'unreadable-reply':
    'The AI service answered, but its answer could not be read, more than once. It is tried again when the mission is next due; you need not do anything.',
  'gateway-rejected':
    "The AI service refused the request. If this happens again, contact support; where the mission's content is the reason, change its objective or its inputs.",
  'content-filtered':
    "The AI provider held its answer back (content filter). Change the mission's objective or its inputs if this happens again.",
  'provider-error':
    'The AI provider ended the planning with an error twice. It is tried again when the mission is next due; you need not do anything.',
  'model-refused':
    "The AI declined to plan this mission twice. Change the mission's objective or its inputs if this happens again.",
  'empty-reply':
    'The AI answered with nothing twice. It is tried again when the mission is next due; you need not do anything.',
  'no-plan':
    "No plan came about: the AI only repeated itself, or did not call the app's tools correctly. It is tried again when the mission is next due. If this happens often, open the mission and say more exactly what it is to do.",
  'rounds-used-up':
    'No plan came about: the AI came to no end with all the replies that it may give in a run. It is tried again when the mission is next due. If this happens often, open the mission and give it less to do at a time.',
  'plan-cut-off':
    "No plan came about: the AI's replies were cut off because of their length. It is tried again when the mission is next due; you need not do anything.",
  'window-too-small':
    "The mission does not fit into what this server's AI can read at a time. Your mission is not the reason: the operators have to see to it. It is tried again when the mission is next due; you need not do anything.",
  overloaded:
    'For two hours the server did not get round to planning this mission. Your mission is not the reason. It is tried again when the mission is next due; you need not do anything.',
  'run-interrupted':
    'Planning was interrupted and could not go on. It is planned anew when the mission is next due; you need not do anything.',
  'worker-lost':
    'This run was given up: the server failed three times while working on it. The usual reason is an input of extraordinary size. Shorten very long entries or take them out of the inputs of the mission; contact support if it happens again.',
  'run-cancelled':
    'This run was cancelled; nothing was planned. The mission runs again when it is next due; you need not do anything.',
  'run-stopped':
    'The mission or its agent was stopped during this run; nothing was planned. Open the mission in the app and resume it if it is to run again.',
  'agent-busy':
    'The agent of this mission was busy with others until the next one was due. It is tried again when the mission is next due; you need not do anything. The settings of the agent may allow more missions at a time.',
};

export const failureText = (language: PromptLanguage, code: FailureCode): string =>
  (language === 'de' ? FAILURE_TEXTS : FAILURE_TEXTS_EN)[code];

/** Likewise of a code that was stored; empty for one that is not known any more. */
export const knownFailureText = (language: PromptLanguage, code: string): string => {
  const known = FAILURE_CODES.find((name) => name === code);
  return known === undefined ? '' : failureText(language, known);
};
