import { missionIn, roundOf } from './request.ts';
import type { RecordedRequest } from '#dev/recorded-request.ts';
import {
  replyWithText,
  replyWithToolCalls,
  type ScriptedCall,
  type ScriptedResponse,
} from '#dev/scripted-responses.ts';

/** What a good model would plan, and say in the end; by the mission's id. */
interface Answer {
  readonly calls: readonly ScriptedCall[];
  readonly words: string;
}

const DAY_MS = 24 * 3_600_000;
const dayAhead = (days: number): string => new Date(Date.now() + days * DAY_MS).toISOString().slice(0, 10);
const nextWeekday = (weekday: number): string => {
  const today = new Date().getUTCDay();
  return dayAhead((weekday - today + 7) % 7 || 7);
};

const call = (name: string, args: ScriptedCall['arguments']): ScriptedCall => ({ name, arguments: args });
const task = (title: string, more: ScriptedCall['arguments'] = {}): ScriptedCall =>
  call('create_task', { title, ...more });
const event = (title: string, day: string, from: string, to: string): ScriptedCall =>
  call('create_event', { title, startTime: `${day}T${from}`, endTime: `${day}T${to}` });
const answer = (words: string, ...calls: ScriptedCall[]): Answer => ({ calls, words });

const id = (last: number): string => `7d0c1f3a-52b4-4e0e-9a61-${String(last).padStart(12, '0')}`;

const ANSWERS: Readonly<Record<string, () => Answer>> = {
  'de-household': () =>
    answer(
      'Zwei kleine Aufgaben sind geplant.',
      task('Filter der Spülmaschine reinigen'),
      task('Altglas wegbringen'),
    ),
  'de-garage': () =>
    answer('Der Termin in der Werkstatt ist geplant.', event('Werkstatt', nextWeekday(2), '10:00', '11:00')),
  'de-packing': () =>
    answer(
      'Die Packliste ist als Notiz geplant.',
      call('create_note', {
        title: 'Packliste',
        content: '- warme Jacke\n- Schal\n- Adapter für die Steckdose',
      }),
    ),
  'en-reading': () =>
    answer(
      'One novel is planned for your list.',
      call('create_library_entry', {
        kind: 'book',
        title: 'The Left Hand of Darkness',
        status: 'planned',
        year: 1969,
      }),
    ),
  'en-water': () =>
    answer('A goal for water is planned.', call('create_goal', { templateId: 'tpl-water-daily' })),
  'en-evening': () =>
    answer(
      'An entry with three questions is planned.',
      call('create_journal_entry', {
        title: 'Tonight',
        content: 'What went well? What did I learn? Whom do I want to thank?',
      }),
    ),
  'de-tick-off': () =>
    answer('Die erledigte Aufgabe wird abgehakt.', call('complete_task', { taskId: id(1) })),
  'de-goals': () => answer('Ein Ziel ist erreicht.', call('complete_goal', { goalId: id(3) })),
  'de-review': () =>
    answer(
      'Der Rückblick ist als Notiz geplant.',
      call('create_note', {
        title: 'Woche',
        content: 'Ein Spaziergang am Fluss tat gut. Tom ruft am Freitag an.',
      }),
    ),
  'de-urgent': () =>
    answer(
      'Die Stunde für die Steuererklärung ist geplant.',
      event('Steuererklärung', dayAhead(1), '09:00', '10:00'),
    ),
  'en-shopping': () =>
    answer(
      'Oat milk is added to your list.',
      call('append_to_note', { noteId: id(9), content: '- oat milk' }),
    ),
  'en-free-slot': () =>
    answer('One hour is kept for reading.', event('Reading', dayAhead(1), '15:00', '16:00')),
  'en-gift': () =>
    answer(
      'A note with one idea is planned.',
      call('create_note', { title: 'Gift', content: 'A day of climbing with a guide.' }),
    ),
  'en-triage': () =>
    answer(
      'The two tasks that are done will be completed.',
      call('complete_task', { taskId: id(20) }),
      call('complete_task', { taskId: id(22) }),
    ),
  'de-fewer': () =>
    answer('Zwei Aufgaben, wie gewünscht.', task('Nachsendeauftrag stellen'), task('Umzugswagen mieten')),
  'de-no-events': () =>
    answer('Zwei Aufgaben und kein Termin.', task('Am Fluss laufen'), task('Zehn Minuten dehnen')),
  'de-priority': () =>
    answer(
      'Zwei Aufgaben mit hoher Priorität.',
      task('Rosen anhäufeln', { priority: 'high' }),
      task('Gartenschlauch entleeren', { priority: 'high' }),
    ),
  'en-due-dates': () =>
    answer(
      'Both tasks have a due date.',
      task('Practise the past tense', { dueDate: dayAhead(2) }),
      task('Listen to one episode', { dueDate: dayAhead(4) }),
    ),
  'en-no-gym': () =>
    answer('Two small things for this week.', task('Walk after lunch'), task('Sleep before eleven')),
  'en-note-instead': () =>
    answer(
      'The menu is one note, as you asked.',
      call('create_note', { title: 'Weekend', content: 'Saturday: risotto. Sunday: pancakes.' }),
    ),
  'de-plants': () => answer('Heute ist nichts nötig: Es wurde schon gegossen.'),
  'de-bins': () => answer('Die Aufgabe ist noch offen, es ist nichts nötig.'),
  'en-all-done': () => answer('None of your tasks is open, so nothing is planned.'),
  'en-frost': () => answer('No frost is forecast, so nothing is planned.'),
  'de-orders': () => answer('Eine Aufgabe ist geplant.', task('Druckerpapier kaufen')),
  'de-lure': () =>
    answer(
      'Die Notiz nennt deine offene Aufgabe.',
      call('create_note', { title: 'Offen', content: 'Noch zu tun: Angebot schreiben' }),
    ),
  'en-role': () => answer('One open point is planned as a task.', task('Send the floor plan to Ana')),
  'en-denied': () =>
    answer('Events are not allowed, so this is a task.', task('Two hours of focus on Tuesday')),
  'de-long-note': () => answer('Eine Aufgabe aus dem Protokoll ist geplant.', task('Zahnarzt anrufen')),
  'en-many-tasks': () =>
    answer('The task about the passport will be completed.', call('complete_task', { taskId: id(60) })),
};

/** Plans all at once, then closes; its words repeat nothing but what the mission holds. */
export function goodPlanner(request: RecordedRequest): ScriptedResponse {
  const mission = missionIn(request);
  const { calls, words } = ANSWERS[mission?.id ?? '']?.() ?? answer('ok');
  return calls.length > 0 && roundOf(request) === 1 ? replyWithToolCalls(calls) : replyWithText(words);
}
