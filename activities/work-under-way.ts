/** Activities of this process that are under way, by type: what a stall of the event loop may be laid to. */
const underWay = new Map<string, number>();

/** @returns to be called at the end of the work */
export function startWork(activityType: string): () => void {
  underWay.set(activityType, (underWay.get(activityType) ?? 0) + 1);
  return () => {
    const left = (underWay.get(activityType) ?? 1) - 1;
    if (left === 0) underWay.delete(activityType);
    else underWay.set(activityType, left);
  };
}

/** Types and counts, like `planRound: 3`. */
export const workUnderWay = (): string[] => [...underWay].map(([type, count]) => `${type}: ${count}`).sort();
