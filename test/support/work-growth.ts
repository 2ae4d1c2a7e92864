/** Sizes of a text in characters: small steps first, so that exponential work is seen before it hangs. */
const SIZES = [12, 16, 20, 24, 28, 32, 48, 64, 128, 256, 512, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000];
const TRIES = 3;
/** Below this, noise is larger than work. */
const TELLING_MS = 25;
/** Linear work doubles with the text, quadratic work is fourfold. Generous, for a machine with other work. */
const MAX_RATIO = 3.2;
/** The least that a text of the largest size must not take, however the work grew. */
const MAX_MS = 1_500;

/**
 * How work grows with the length of its text, by the least of several times: what else the machine does can only make a
 * time longer.
 *
 * @param textOf of about so many characters
 * @returns `linear`, or the first sizes whose times tell otherwise
 */
export function growthOf(textOf: (chars: number) => string, work: (text: string) => void): string {
  const timeOf = (chars: number): number => leastTime(textOf(chars), work);
  for (const chars of SIZES) {
    const ms = timeOf(chars);
    if (ms > MAX_MS) return `${chars} characters take ${ms.toFixed()} ms`;
    if (ms > TELLING_MS) {
      const [half, whole] = [timeOf(chars / 2), Math.min(ms, timeOf(chars))];
      if (whole > TELLING_MS && whole > half * MAX_RATIO)
        return `${chars / 2} characters take ${half.toFixed(1)} ms, ${chars} take ${whole.toFixed(1)} ms`;
    }
  }
  return 'linear';
}

function leastTime(text: string, work: (text: string) => void): number {
  let least = Infinity;
  for (let attempt = 0; attempt < TRIES && least > 1; attempt += 1) {
    const startedAtMs = performance.now();
    work(text);
    least = Math.min(least, performance.now() - startedAtMs);
  }
  return least;
}
