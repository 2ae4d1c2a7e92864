/** The processor's time, in ms, that this thread takes for `work`: what else the machine does, or does not, counts for nothing. */
export function cpuMsOf(work: () => unknown): number {
  const before = process.threadCpuUsage();
  work();
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1_000;
}
