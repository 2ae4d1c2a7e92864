import { ApplicationFailure } from '@temporalio/workflow';
import type { MissionRunInput } from '../../workflows/messages.ts';

/** Stands in for the mission's run: fails with what it was given, so that the message must be encoded to stay hidden. */
export function missionRun({ missionId, trigger }: MissionRunInput): Promise<never> {
  return Promise.reject(
    ApplicationFailure.nonRetryable(`canary ${missionId} ${trigger}`, 'GATEWAY_REJECTED'),
  );
}
