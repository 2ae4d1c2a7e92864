const last = new Map<string, Promise<unknown>>();

/**
 * Work under one key waits for the work under it that this process has begun before, however that ends.
 *
 * @throws what the work threw
 */
export function oneAtATime<T>(key: string, work: () => Promise<T>): Promise<T> {
  const before = last.get(key) ?? Promise.resolve();
  const mine = before.then(work, work);
  last.set(key, mine);
  const forget = (): void => {
    if (last.get(key) === mine) last.delete(key);
  };
  mine.then(forget, forget);
  return mine;
}
