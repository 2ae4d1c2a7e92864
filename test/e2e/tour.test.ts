import { join, resolve } from 'node:path';
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { createTemporaryDirectory } from '#dev/guardian.ts';
import { spawnProcess } from '#dev/processes.ts';

const root = resolve(import.meta.dirname, '../..');

/** `bin/demo --tour` as a new user runs it, on servers of its own. */
async function runTour(): Promise<string[]> {
  const directory = createTemporaryDirectory('mana-tour-');
  try {
    const logFile = join(directory.path, 'tour.log');
    const tour = await spawnProcess({
      name: 'the tour',
      command: process.execPath,
      args: ['scripts/demo.ts', '--tour'],
      env: {
        ...(process.env['TEMPORAL_CLI'] !== undefined && { TEMPORAL_CLI: process.env['TEMPORAL_CLI'] }),
      },
      logFile,
      cwd: root,
    });
    const { code } = await tour.exited;
    const output = readFileSync(logFile, 'utf8');
    expect(code, output).toBe(0);
    return output.trimEnd().split('\n');
  } finally {
    directory.remove();
  }
}

/** What the tour prints of one mission, from its title to the next one's. */
function mission(lines: readonly string[], title: string): string {
  const from = lines.findIndex((line) => line.includes(`. ${title} — `));
  const length = lines.slice(from).indexOf('');
  return lines.slice(from, from + length).join('\n');
}

describe('the tour', () => {
  let lines: string[] = [];
  beforeAll(async () => {
    lines = await runTour();
  });

  it('counts its iterations, staged steps, claims and partial plans in the change log', () => {
    expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({
      ...{ ok: true, missions: 12, iterations: 12, failedIterations: 2 },
      ...{ stagedSteps: 2, claimedRuns: 12, partialPlans: 1, cancelledRuns: 1 },
    });
  });

  it('shows staged steps, and says that no device runs them', () => {
    const shown = mission(lines, 'Inbox triage');
    expect(shown).toContain('staged');
    expect(shown.match(/- \[staged: no device runs it\] ⚠ /g)).toHaveLength(2);
  });

  it('shows a claimed run: as running for all devices, with the next instant, until its user cancels it', () => {
    const shown = mission(lines, 'Reading list');
    expect(shown).toMatch(/\[running\] claimed \S+Z, next run \S+Z\n {3}\[failed\] /);
    const told = lines.findIndex((line) => line.includes('instant claimed: Reading list → running'));
    const cancelled = lines.findIndex((line) => line.includes('cancelled on the device: Reading list'));
    const ended = lines.findIndex((line) => line.includes('iteration written: Reading list → failed'));
    expect([told < cancelled, cancelled < ended, told >= 0]).toEqual([true, true, true]);
  });

  it('shows a partial plan: the step of the first round, and that the plan is not whole', () => {
    const shown = mission(lines, 'Umzug');
    expect(shown).toContain('[awaiting-review]');
    expect(shown).toContain('Der Plan ist unvollständig');
    expect(shown).toContain('- Create task: Umzugskartons bestellen');
  });
});
