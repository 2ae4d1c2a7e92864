import { readFileSync } from 'node:fs';

/** Clock ticks of `/proc/<pid>/stat`; 100 a second on every Linux that Node runs on. */
const MS_PER_TICK = 10;

/** CPU time that a process has used so far, of all its threads, in milliseconds. */
export function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name, in parentheses, may hold anything; user and system time are the 12th and 13th field behind it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK;
}
