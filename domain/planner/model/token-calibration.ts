/** How the tokens that a model reports compare with our estimates of them. */
export interface TokenCalibration {
  /** What to multiply an estimate for this model by. */
  factor(model: string): number;
  /** @param promptTokens as the gateway reports them; 0 where it does not say */
  observe(model: string, estimatedTokens: number, promptTokens: number): void;
}

/** Never below: a gateway that reports nothing, or next to nothing, must not make requests look small. */
const LOWEST = 0.85;
/** Nor above: one that reports too much must not make every request look too large. */
const HIGHEST = 1.6;
/** Of each further figure. */
const WEIGHT = 0.2;
/** Templates and tools make too much of a smaller request. */
const LEAST_TOKENS = 200;

/**
 * Learns from usage, for each model by itself; kept by the process, so that a new one begins at 1 again. One figure moves the
 * factor by a fifth of the way, and none beyond its bounds.
 */
export function createTokenCalibration(): TokenCalibration {
  const factors = new Map<string, number>();
  const bounded = (factor: number): number => Math.min(HIGHEST, Math.max(LOWEST, factor));
  return {
    factor: (model) => factors.get(model) ?? 1,
    observe: (model, estimatedTokens, promptTokens) => {
      if (estimatedTokens < LEAST_TOKENS || promptTokens <= 0) return;
      const known = factors.get(model) ?? 1;
      const seen = bounded(promptTokens / estimatedTokens);
      factors.set(model, bounded(known + WEIGHT * (seen - known)));
    },
  };
}
