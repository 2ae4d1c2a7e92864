import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { replyWithText, replyWithToolCalls } from '../../dev/scripted-gateway.ts';
import { missionAt, noteAt, renewedGrantFields, taskAt } from '../../dev/web-app.ts';
import type { WebAppUser } from '../../dev/web-app.ts';
import type { Grant } from '../../domain/grant.ts';
import { formatInstant } from '../../domain/instant.ts';
import { startMissionSystem } from '../support/mission-system.ts';
import type { MissionSystem } from '../support/mission-system.ts';
import { waitUntil } from '../support/wait-until.ts';

let system: MissionSystem;
beforeAll(async () => {
  system = await startMissionSystem({
    script: (request) =>
      request.body.messages.length === 2
        ? replyWithToolCalls([{ name: 'create_task', arguments: { title: 'Zug buchen', priority: 'high' } }])
        : replyWithText('Eine Aufgabe vorgeschlagen.'),
  });
});
afterAll(async () => {
  console.log(system.logLines.join(''));
  await system.close();
});

describe('a due mission', () => {
  it('runs from the grant to the iteration', async () => {
    const { webApp } = system;
    const user = await webApp.createUser();
    const [missionId, noteId, taskId] = [randomUUID(), randomUUID(), randomUUID()];
    await webApp.insert(user, noteAt(noteId), {
      title: user.encrypt('NOTE-TITLE'),
      content: user.encrypt('NOTE-CONTENT'),
    });
    await webApp.insert(user, taskAt(taskId), { title: 'TASK-TITLE', isCompleted: false });
    const grant = await system.requestGrant(user.userId, {
      missionId,
      tables: ['notes', 'tasks'],
      recordIds: [`notes:${noteId}`, `tasks:${taskId}`],
      timeZone: 'Europe/Berlin',
    });
    const nextRunAt = formatInstant(Date.now() + 2_000);
    await webApp.insert(user, missionAt(missionId), {
      title: user.encrypt('MISSION-TITLE'),
      objective: user.encrypt('MISSION-OBJECTIVE'),
      conceptMarkdown: '',
      state: 'active',
      cadence: { kind: 'interval', everyMinutes: 30 },
      nextRunAt,
      inputs: [
        { module: 'notes', table: 'notes', id: noteId },
        { module: 'tasks', table: 'tasks', id: taskId },
      ],
      iterations: [],
    });
    await webApp.update(user, missionAt(missionId), { grant });
    const mission = await waitUntil('the iteration', async () => {
      const read = await webApp.read(user, missionAt(missionId));
      const iterations = read?.record['iterations'];
      return Array.isArray(iterations) && iterations.length > 0 ? read?.record : null;
    });
    console.log(JSON.stringify(mission, null, 1));
    console.log(system.logLines.join(''));
  });
});
