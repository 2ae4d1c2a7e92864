/**
 * The web app nests some six levels deep. What goes deeper than this is read as absent: serialising ten thousand levels
 * exhausts the stack of whoever does it, and a run that fails at that would fail for ever.
 */
export const MAX_NESTING = 100;

/** Whether objects and arrays nest deeper than `MAX_NESTING`; looks at each value once, and never deeper than that. */
export const isNestedTooDeep = (value: unknown, levels = MAX_NESTING): boolean => {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  const below: readonly unknown[] = Array.isArray(value) ? value : Object.values(value);
  return below.some((each) => isNestedTooDeep(each, levels - 1));
};
