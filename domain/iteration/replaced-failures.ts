import {
  failureCodeIn,
  idOf,
  startMsOf,
  type FailureCode,
  type StoredObject,
} from '#domain/wire/iteration.ts';

/** The code of a failure that a run of ours wrote, else null. */
function failureCodeOf(iteration: StoredObject): FailureCode | null {
  if (iteration['source'] !== 'server' || iteration['overallStatus'] !== 'failed') return null;
  return failureCodeIn(iteration);
}

/** What tells whether a failure was replaced on purpose. */
export interface FailureOutline {
  readonly id: string | null;
  readonly startMs: number;
  readonly failure: FailureCode | null;
}

export const outlineOf = (iteration: StoredObject): FailureOutline => ({
  id: idOf(iteration),
  startMs: startMsOf(iteration),
  failure: failureCodeOf(iteration),
});

/** Answers whether an array of ours left a failure out because the next iteration repeats it (`withIteration`). */
export type ReplacedFailures = (outline: FailureOutline) => boolean;

/**
 * Which failures an array of ours left out on purpose. One that the user commented on is never left out; who asks has to
 * know. Sorted once and searched, because devices write arrays of any length.
 *
 * @param ours all iterations that we wrote: the array may lack others, which a device had overwritten
 */
export function replacedFailuresIn(
  ourArray: readonly FailureOutline[],
  ours: (outline: FailureOutline) => FailureOutline | null,
): ReplacedFailures {
  const present = new Set(ourArray.map(({ id }) => id));
  const nextInArray = nextAfter(ourArray);
  return (outline) => {
    if (outline.failure === null || present.has(outline.id)) return false;
    const [inArray, elsewhere] = [nextInArray(outline), ours(outline)];
    const next =
      inArray !== null && (elsewhere === null || inArray.startMs <= elsewhere.startMs) ? inArray : elsewhere;
    return next?.failure === outline.failure;
  };
}

/** Finds the iteration that began next, at the same time or later: the first one of several; null if there is none. */
export function nextAfter(
  outlines: readonly FailureOutline[],
): (outline: FailureOutline) => FailureOutline | null {
  const inOrder = outlines.toSorted((a, b) => a.startMs - b.startMs);
  // Where the run of entries with one id ends: an iteration is not followed by itself.
  const nextOther: number[] = new Array<number>(inOrder.length).fill(inOrder.length);
  for (let index = inOrder.length - 2; index >= 0; index -= 1) {
    const isSame = inOrder[index]?.id === inOrder[index + 1]?.id;
    nextOther[index] = isSame ? (nextOther[index + 1] ?? inOrder.length) : index + 1;
  }
  return ({ id, startMs }) => {
    let [low, high] = [0, inOrder.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((inOrder[middle]?.startMs ?? 0) < startMs) low = middle + 1;
      else high = middle;
    }
    const found = inOrder[low]?.id === id ? (nextOther[low] ?? inOrder.length) : low;
    return inOrder[found] ?? null;
  };
}
