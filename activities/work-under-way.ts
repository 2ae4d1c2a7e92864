/** Activities of this process by type: what a stall of the event loop may be laid to. */
const underWay = new Map<string, number>();
/** Those that ended since somebody looked: the work of a stall that is over has ended before anybody can look. */
const justEnded = new Set<string>();
const listeners: ((types: readonly string[]) => void)[] = [];

const typesOf = (types: Iterable<string>): string[] => [...types].sort();
const tellListeners = (): void => {
  if (listeners.length === 0) return;
  const types = typesOf(underWay.keys());
  for (const listener of listeners) listener(types);
};

/** @returns to be called at the end of the work */
export function startWork(activityType: string): () => void {
  const count = underWay.get(activityType) ?? 0;
  underWay.set(activityType, count + 1);
  if (count === 0) tellListeners();
  return () => {
    const left = (underWay.get(activityType) ?? 1) - 1;
    justEnded.add(activityType);
    if (left > 0) underWay.set(activityType, left);
    else {
      underWay.delete(activityType);
      tellListeners();
    }
  };
}

/** Types that were under way at any time since the last call. */
export function workSinceLastLook(): string[] {
  const types = typesOf(new Set([...underWay.keys(), ...justEnded]));
  justEnded.clear();
  return types;
}

export const onWorkChanged = (listener: (types: readonly string[]) => void): void => {
  listeners.push(listener);
};
