import { cpuMsOf } from './cpu-time.ts';

/** Sizes of a text in characters: small steps first, so that exponential work is seen before it hangs. */
const SIZES = [12, 16, 20, 24, 28, 32, 48, 64, 128, 256, 512, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000];
const TRIES = 3;
/** Before growth is called too fast: on a machine with other work, caches are cold and the compiler is late. */
const SECOND_LOOKS = 4;
/** Below this, noise is larger than work. */
const TELLING_MS = 25;
/** Linear work doubles with the text, quadratic work is fourfold. */
const MAX_RATIO = 3.2;
/** No text of ours may take as long as this, however the work grew. */
const MAX_MS = 1_500;

/**
 * How work grows with the length of its text, by the least of several CPU times of this thread: what else the machine
 * does can only make one longer.
 *
 * @param textOf of about so many characters
 * @returns `linear`, or the first sizes whose times tell otherwise
 */
export function growthOf(textOf: (chars: number) => string, work: (text: string) => void): string {
  for (const chars of SIZES) {
    const [text, half] = [textOf(chars), textOf(chars / 2)];
    let ms = leastTime(text, work);
    if (ms <= TELLING_MS) continue;
    let halfMs = leastTime(half, work);
    for (let look = 0; look < SECOND_LOOKS && ms < MAX_MS && isTooFast(halfMs, ms); look += 1) {
      ms = Math.min(ms, leastTime(text, work));
      halfMs = Math.max(halfMs, leastTime(half, work));
    }
    if (ms > MAX_MS || isTooFast(halfMs, ms))
      return `${chars / 2} characters take ${halfMs.toFixed(1)} ms, ${chars} take ${ms.toFixed(1)} ms`;
  }
  return 'linear';
}

const isTooFast = (halfMs: number, ms: number): boolean => ms > TELLING_MS && ms > halfMs * MAX_RATIO;

function leastTime(text: string, work: (text: string) => void): number {
  let least = Infinity;
  for (let attempt = 0; attempt < TRIES && least > 1; attempt += 1) {
    least = Math.min(
      least,
      cpuMsOf(() => work(text)),
    );
  }
  return least;
}
