import { readFileSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import {
  writeGrantedMission,
  writePlaintextMission,
  type WrittenMission,
} from '#test/support/granted-mission.ts';
import {
  around,
  expectGivenUp,
  GIVEN_UP,
  outcomesOf,
  setUpPoisonPills,
  stops,
  supervise,
  system,
  WORDS,
} from '#test/support/poison-pills.ts';
import { startSystemProcess } from '#test/support/worker-process.ts';

// Nine missions on their last chances take turns, behind three workers that went silent.
vi.setConfig({ testTimeout: 300_000 });
setUpPoisonPills();

describe.each(['loadRun', 'gateway'] as const)('a mission that kills its runner in %s', (stage) => {
  it('is given up after three dead workers, with an iteration that says so; the others run', async () => {
    const pill = await writePlaintextMission(system.webApp, WORDS);
    const victims: WrittenMission[] = [];
    for (let count = 0; count < 8; count += 1)
      victims.push(await writePlaintextMission(system.webApp, `OBJECTIVE-OF-A-VICTIM-${count}`));
    const runner = await supervise('runner', {
      POISON_USER: pill.user.userId,
      POISON_STAGE: stage,
      POISON_WORDS: WORDS,
    });
    const [ofPill, ...ofVictims] = await outcomesOf([pill, ...victims]);
    expect(ofVictims.map(({ outcome }) => outcome)).toEqual(victims.map(() => 'planned'));
    expect(ofPill).toMatchObject(GIVEN_UP);
    expect(runner.deaths()).toBe(3);
    await expectGivenUp(pill);
    expect(readFileSync(runner.logFile, 'utf8')).toContain('"failureType":"WORKER_LOST"');
  });
});

describe('a mission that kills its vault worker', () => {
  it('is given up after three dead workers, with an iteration that says so; the others run', async () => {
    const pill = await writeGrantedMission(system, WORDS);
    const victims = await Promise.all(
      [1, 2, 3].map((n) => writeGrantedMission(system, `OBJECTIVE-OF-A-SEALED-VICTIM-${n}`)),
    );
    const runner = await startSystemProcess('runner', around);
    stops.push(() => runner.stop());
    const vault = await supervise('vault', { POISON_USER: pill.user.userId, POISON_STAGE: 'sealInputs' });
    const [ofPill, ...ofVictims] = await outcomesOf([pill, ...victims]);
    expect(ofVictims.map(({ outcome }) => outcome)).toEqual(victims.map(() => 'planned'));
    expect(ofPill).toMatchObject(GIVEN_UP);
    expect(vault.deaths()).toBe(3);
    await expectGivenUp(pill);
  });
});
