import { ApplicationFailure, condition, defineSignal, setHandler } from '@temporalio/workflow';
import type { MissionRunInput } from '#temporal/messages.ts';

/** Waits for a word, so that a signal can be sent to it. */
export async function awaitWord(first: string): Promise<string> {
  const words: string[] = [];
  setHandler(defineSignal<[string]>('word'), (said) => void words.push(said));
  await condition(() => words.length > 0);
  return `${first} ${words.join(' ')}`;
}

/** Stands in for the mission's run: fails with what it was given, so that the message must be encoded to stay hidden. */
export function missionRun({ missionId, trigger }: MissionRunInput): Promise<never> {
  return Promise.reject(
    ApplicationFailure.nonRetryable(`canary ${missionId} ${trigger}`, 'GATEWAY_REJECTED'),
  );
}
