import { randomUUID } from 'node:crypto';
import type { Stack } from '#dev/stack.ts';
import { missionAt, noteAt, requestGrant, taskAt, type WebAppUser } from '#dev/web-app.ts';
import { formatInstant } from '#domain/base/instant.ts';

/** A mission of the demo: its record, and what is expected of its run. */
export interface DemoMission {
  readonly label: string;
  readonly missionId: string;
}

export interface DemoData {
  readonly user: WebAppUser;
  readonly missions: readonly DemoMission[];
  /** Everything the user wrote that must not be found outside the change log and the gateway. */
  readonly plaintexts: readonly string[];
  /** What may not even reach the gateway: nobody granted it. */
  readonly ungranted: readonly string[];
}

/** Long enough for the schedule to be there before the instant, short enough for a demo. */
const DUE_IN_MS = 4_000;

/** A word that stands in every text of the demo's user and nowhere else, so that a search finds any leak. */
const marked = (text: string): string => `${text} ${randomUUID()}`;

/** Acts as the web app: a user with a vault, records, a grant asked before its mission is pushed, three missions. */
export async function createDemoMissions(stack: Stack, say: (line: string) => void): Promise<DemoData> {
  const { webApp } = stack;
  const user = await webApp.createUser();
  const token = await stack.issuer.issueToken({ sub: user.userId });
  const texts = {
    noteTitle: marked('Ideen für die Reise'),
    noteContent: marked('Mit dem Nachtzug nach Wien, Museum am Sonntag'),
    task: marked('Koffer aus dem Keller holen'),
    title: marked('Reise planen'),
    objective: marked('Plane jeden Morgen den nächsten Schritt der Reise'),
    plainTitle: marked('Wochenputz'),
    plainObjective: marked('Schlage eine Aufgabe für den Haushalt vor'),
    lockedTitle: marked('Tagebuch auswerten'),
    lockedObjective: marked('Fasse die Woche zusammen'),
  };
  const diary = marked('Das hier geht niemanden etwas an');
  const [noteId, diaryId, taskId] = [randomUUID(), randomUUID(), randomUUID()];
  await webApp.insert(user, noteAt(noteId), {
    title: user.encrypt(texts.noteTitle),
    content: user.encrypt(texts.noteContent),
  });
  await webApp.insert(user, noteAt(diaryId), { title: user.encrypt(diary), content: user.encrypt(diary) });
  await webApp.insert(user, taskAt(taskId), { title: texts.task, isCompleted: false, priority: 'high' });

  const granted = { label: 'encrypted, with a grant', missionId: randomUUID() };
  const plain = { label: 'plaintext, without a grant', missionId: randomUUID() };
  const locked = { label: 'encrypted, without a grant', missionId: randomUUID() };
  const grant = await requestGrant(stack.apiUrl, token, {
    missionId: granted.missionId,
    tables: ['notes', 'tasks'],
    recordIds: [`notes:${noteId}`, `tasks:${taskId}`],
    timeZone: 'Europe/Berlin',
  });
  say(`grant minted for 2 records, valid until ${grant.expiresAt}`);

  const nextRunAt = formatInstant(Date.now() + DUE_IN_MS);
  const common = {
    conceptMarkdown: '',
    state: 'active',
    cadence: { kind: 'interval', everyMinutes: 60 },
    nextRunAt,
    iterations: [],
  };
  const inputs = [
    { module: 'notes', table: 'notes', id: noteId },
    { module: 'tasks', table: 'tasks', id: taskId },
  ];
  await webApp.insert(user, missionAt(granted.missionId), {
    ...common,
    title: user.encrypt(texts.title),
    objective: user.encrypt(texts.objective),
    inputs,
  });
  await webApp.update(user, missionAt(granted.missionId), { grant });
  await webApp.insert(user, missionAt(plain.missionId), {
    ...common,
    title: texts.plainTitle,
    objective: texts.plainObjective,
    inputs: [],
  });
  await webApp.insert(user, missionAt(locked.missionId), {
    ...common,
    title: user.encrypt(texts.lockedTitle),
    objective: user.encrypt(texts.lockedObjective),
    inputs: [{ module: 'notes', table: 'notes', id: diaryId }],
  });
  say(`three missions written to the change log, due at ${nextRunAt}`);
  return {
    user,
    missions: [granted, plain, locked],
    plaintexts: [...Object.values(texts), diary],
    ungranted: [diary, texts.lockedTitle, texts.lockedObjective],
  };
}
