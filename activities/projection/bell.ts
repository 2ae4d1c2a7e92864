/** Wakes who waits for it. Rung while nobody waits, it is heard by who comes next. */
export interface Bell {
  ring(): void;
  /** @returns whether it was rung; false after `atMostMs`, or when the signal came first */
  wait(atMostMs: number, signal: AbortSignal): Promise<boolean>;
}

export function createBell(): Bell {
  let isRung = false;
  let wake: () => void = () => undefined;
  return {
    ring: () => {
      isRung = true;
      wake();
    },
    wait: async (atMostMs, signal) => {
      if (!isRung && !signal.aborted) {
        const { promise, resolve } = Promise.withResolvers<undefined>();
        wake = () => resolve(undefined);
        const timer = setTimeout(wake, atMostMs);
        signal.addEventListener('abort', wake);
        await promise;
        clearTimeout(timer);
        signal.removeEventListener('abort', wake);
      }
      const wasRung = isRung;
      isRung = false;
      return wasRung;
    },
  };
}
