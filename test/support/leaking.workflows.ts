import { proxyActivities } from '@temporalio/workflow';

export interface LeakingActivities {
  leak(content: string): Promise<void>;
}

const { leak } = proxyActivities<LeakingActivities>({
  startToCloseTimeout: '10 seconds',
  retry: { maximumAttempts: 1 },
});

/** Does what no workflow of ours does: takes content as input, and hands it to an activity that tells everybody. */
export const leakingRun = (content: string): Promise<void> => leak(content);
