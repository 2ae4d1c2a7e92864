import { randomUUID } from 'node:crypto';
import type { WrittenMission } from './granted-mission.ts';
import { replyOfTwoRounds } from './planner-scripts.ts';
import { missionAt, noteAt, type WebApp } from '#dev/web-app.ts';
import type { RecordedRequest, ScriptedResponse } from '#dev/scripted-gateway.ts';
import { formatInstant } from '#domain/base/instant.ts';
import { markOf, nameOf, type Asked } from '#test/checker/facts.ts';

/** With what was said to it in words: `whole`, a status, `hang` or `reset`; null while it waits. */
interface Logged extends Asked {
  readonly answer: string | null;
}

/** A gateway's script that keeps the log which the checker reads. */
export interface LoggedScript {
  readonly asked: readonly Logged[];
  /** Requests that wait for their answer now. */
  readonly openCalls: () => number;
  readonly script: (request: RecordedRequest) => Promise<ScriptedResponse>;
}

/** @param disturb an answer in place of the one that is of use, or null */
export function logged(
  disturb: (request: RecordedRequest) => Promise<ScriptedResponse | null> | null = () => null,
): LoggedScript {
  const asked: Logged[] = [];
  let open = 0;
  return {
    asked,
    openCalls: () => open,
    script: async (request) => {
      const { idempotencyKey, bodyText: body } = request;
      const askedAtMs = Date.now();
      const line = { idempotencyKey, body, askedAtMs, answeredAtMs: null, answer: null };
      const index = asked.push(line) - 1;
      open += 1;
      try {
        const disturbed = await disturb(request);
        if (disturbed !== null) {
          asked[index] = { ...line, answer: 'status' in disturbed ? `${disturbed.status}` : disturbed.kind };
          return disturbed;
        }
        asked[index] = { ...line, answeredAtMs: Date.now(), answer: 'whole' };
        return replyOfTwoRounds(request);
      } finally {
        open -= 1;
      }
    },
  };
}

/** What is needed of a system to write missions that the checker knows. */
export interface CheckedWriter {
  readonly webApp: WebApp;
  readonly requestGrant: (userId: string, body: Readonly<Record<string, unknown>>) => Promise<unknown>;
}

/** An encrypted mission on one encrypted note, with a grant, due at `dueAtMs` and half an hour after each run. */
export async function writeCheckedMission(
  { webApp, requestGrant }: CheckedWriter,
  dueAtMs: number,
  fields: Readonly<Record<string, unknown>> = {},
): Promise<WrittenMission> {
  const user = await webApp.createUser();
  const [missionId, noteId] = [randomUUID(), randomUUID()];
  await webApp.insert(user, noteAt(noteId), {
    title: user.encrypt('Packing list'),
    content: user.encrypt(markOf('notes', noteId)),
  });
  const request = { missionId, tables: ['notes'], recordIds: [`notes:${noteId}`] };
  await webApp.insert(user, missionAt(missionId), {
    ...{ conceptMarkdown: '', state: 'active', iterations: [], nextRunAt: formatInstant(dueAtMs) },
    cadence: { kind: 'interval', everyMinutes: 30 },
    title: user.encrypt('Plan the holiday'),
    objective: user.encrypt(`${nameOf(missionId)} ${markOf('aiMissions', missionId)}`),
    inputs: [{ module: 'notes', table: 'notes', id: noteId }],
    grant: await requestGrant(user.userId, request),
    ...fields,
  });
  return { user, missionId };
}
