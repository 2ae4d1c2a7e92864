import { type StoredIteration, stepIdentity, isObject, stepRank, stepsOf } from '#domain/wire/iteration.ts';
import { isNestedTooDeep } from '#domain/base/json.ts';

/** A user with more open steps than these has other worries than one of them twice. */
const MAX_STEPS = 500;
const MAX_CHARS = 100_000;
const MAX_STEP_CHARS = 25_000;
const MAX_DEPTH = 14;

/**
 * The steps of earlier iterations that are neither carried out nor decided on yet, by their identity: planned ones no device
 * has picked up, staged ones wait for the user (docs/platform.md section 2). The newest count, if there are more than anybody
 * has.
 */
export function openStepsOf(iterations: readonly StoredIteration[]): string[] {
  const open: string[] = [];
  let chars = 0;
  for (const iteration of iterations.toReversed()) {
    for (const step of stepsOf(iteration)) {
      const identity = openIdentity(step);
      if (identity === null) continue;
      chars += identity.length;
      if (open.length >= MAX_STEPS || chars > MAX_CHARS) return open;
      open.push(identity);
    }
  }
  return open;
}

/** Null for a step that is decided on, or that is no call. */
function openIdentity(step: unknown): string | null {
  if (!isObject(step)) return null;
  const rank = stepRank(step['status']);
  const { intent } = step;
  if ((rank !== 0 && rank !== 1) || !isObject(intent)) return null;
  const { toolName, params } = intent;
  if (typeof toolName !== 'string' || !isObject(params) || isNestedTooDeep(params, MAX_DEPTH)) return null;
  const identity = stepIdentity(toolName, params);
  return identity.length > MAX_STEP_CHARS ? null : identity;
}
