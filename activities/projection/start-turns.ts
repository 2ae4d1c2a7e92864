/** Direct starts of one user's missions in any `WINDOW_MS`: the runs of whoever comes next must not queue behind them. */
const MAX_STARTS = 10;
const WINDOW_MS = 5_000;

/**
 * Says whether a mission of a user may be started now, and counts it. Of this process alone: the server's queues know no
 * turns unless they are set up for it, and a started run waits in them like all others.
 */
export function createStartTurns(): (userId: string, nowMs: number) => boolean {
  const starts = new Map<string, number[]>();
  let sweptAtMs = 0;
  return (userId, nowMs) => {
    if (nowMs - sweptAtMs > WINDOW_MS) {
      for (const [user, times] of starts) if ((times.at(-1) ?? 0) <= nowMs - WINDOW_MS) starts.delete(user);
      sweptAtMs = nowMs;
    }
    // After the clock was set back, what lies ahead of it would be recent for as long.
    const recent = (starts.get(userId) ?? []).filter((atMs) => atMs > nowMs - WINDOW_MS && atMs <= nowMs);
    if (recent.length >= MAX_STARTS) return false;
    starts.set(userId, [...recent, nowMs]);
    return true;
  };
}
