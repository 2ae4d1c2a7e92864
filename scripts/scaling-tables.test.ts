import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { describe, expect, it } from 'vitest';
import { derive, INPUTS, scalingTables, withTables, type Values } from './scaling-tables.ts';

const file = resolve(import.meta.dirname, '..', 'docs', 'scaling.md');
const given = Object.fromEntries(
  Object.entries(INPUTS).map(([name, { value }]) => [name, value]),
) as unknown as Values;

describe('docs/scaling.md', () => {
  it('has the tables that its inputs make (node scripts/scaling.ts --write)', async () => {
    const page = readFileSync(file, 'utf8');
    const made = withTables(page, scalingTables());
    expect(await format(made, { ...(await resolveConfig(file)), filepath: file })).toBe(page);
    for (const name of Object.keys(scalingTables())) expect(page).toContain(`<!-- table ${name} -->`);
  });

  it('reckons with what it says', () => {
    const { missions, average, peak, actionsOfMission, actionsAMonth, shards } = derive(given);
    expect(missions).toBe(5_000_000);
    expect(average).toBeCloseTo(57.87, 2);
    expect(peak).toBeCloseTo(277.78, 2);
    expect(actionsOfMission).toBeCloseTo(8.8, 6);
    expect(actionsAMonth / 1e6).toBeCloseTo(1_320, 6);
    expect(shards).toBe(512);
    expect(derive({ ...given, users: given.users * 10 }).peak).toBeCloseTo(peak * 10, 6);
    expect(scalingTables({ users: 7 })['load']).toContain('| missions a day | 35 |');
  });
});
