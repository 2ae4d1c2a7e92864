/**
 * A fixture with its short forms written out: `{"$repeat": "x", "times": 3}` is "xxx", and `{"$each": …, "times": 3}` in a
 * list stands for three elements, with `$i` in their texts counted from 0.
 */
export function expandFixture(value: unknown): unknown {
  if (Array.isArray(value)) return value.flatMap((item: unknown) => elementsOf(item));
  if (typeof value !== 'object' || value === null) return value;
  const fields = value as Readonly<Record<string, unknown>>;
  if (typeof fields['$repeat'] === 'string') return fields['$repeat'].repeat(Number(fields['times']));
  return Object.fromEntries(Object.entries(fields).map(([key, item]) => [key, expandFixture(item)]));
}

function elementsOf(item: unknown): unknown[] {
  if (typeof item !== 'object' || item === null || !('$each' in item)) return [expandFixture(item)];
  const times = Number('times' in item ? item.times : 1);
  const template = JSON.stringify(item.$each);
  return Array.from({ length: times }, (_, index) =>
    expandFixture(JSON.parse(template.replaceAll('$i', String(index)))),
  );
}
