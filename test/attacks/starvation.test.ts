import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  DUE_MISSION,
  IS_LONG,
  rowsOf,
  startAttackedSystem,
  type AttackedSystem,
} from './support/attacked-system.ts';
import { openDevice } from '#test/support/device.ts';
import { waitUntil } from '#test/support/wait-until.ts';

let attacked: AttackedSystem;
beforeAll(async () => {
  attacked = await startAttackedSystem();
});
afterAll(() => attacked.close());

const attacker = () => attacked.system.webApp.createUser();

/** JSON of so many megabytes that no compression makes much smaller. */
const noise = (megabytes: number): string =>
  `(select jsonb_agg(md5(n::text || i)) from generate_series(1, ${Math.ceil((megabytes * 1e6) / 36)}) i)`;

describe('another user’s due mission runs in time', () => {
  it('while nobody attacks', () => attacked.expectVictimToRun());

  it('while 40 edits of one mission hold an iteration of 20,000 steps', async () => {
    const { userId } = await attacker();
    const steps = `(select jsonb_agg(jsonb_build_object('id', 'step-' || i, 'status', 'planned', 'summary', 'a step of many',
      'intent', jsonb_build_object('kind', 'note'))) from generate_series(1, 20000) i)`;
    const iteration = `jsonb_build_array(jsonb_build_object('id', 'i', 'source', 'server', 'plan', ${steps}))`;
    const data = `${DUE_MISSION} || jsonb_build_object('iterations', ${iteration})`;
    await attacked.plant(rowsOf({ recordId: `'steps'`, op: 'update', data: `(select ${data})` }), [
      userId,
      IS_LONG ? 40 : 15,
    ]);
    await attacked.expectVictimToRun();
  });

  it('while 25 rows of 12 MB are loaded by the projection, and are the history of a mission that runs', async () => {
    const { userId } = await attacker();
    const rows = IS_LONG ? 25 : 6;
    await attacked.plant(
      rowsOf({
        recordId: `'large-' || n`,
        op: 'insert',
        data: `${DUE_MISSION} || jsonb_build_object('x', ${noise(12)})`,
      }),
      [userId, rows],
    );
    await attacked.plant(rowsOf({ recordId: `'history'`, op: 'insert', data: DUE_MISSION }), [userId, 1]);
    await attacked.plant(
      rowsOf({ recordId: `'history'`, op: 'insert', data: `jsonb_build_object('iterations', ${noise(12)})` }),
      [userId, rows],
    );
    await attacked.expectVictimToRun();
  });

  it('while a hundred thousand missions of one user are due', async () => {
    const { userId } = await attacker();
    await attacked.plant(rowsOf({ recordId: `'many-' || n`, op: 'insert', data: DUE_MISSION }), [
      userId,
      IS_LONG ? 100_000 : 5_000,
    ]);
    await attacked.expectVictimToRun();
  });

  it('while a mission of 300,000 inputs runs, whose user is told', async () => {
    const user = await attacker();
    const inputs = `(select jsonb_agg(jsonb_build_object('module', 'notes', 'table', 'notes', 'id', 'note-' || i)) from generate_series(1, 300000) i)`;
    await attacked.plant(
      rowsOf({
        recordId: `'inputs'`,
        op: 'insert',
        data: `${DUE_MISSION} || jsonb_build_object('inputs', ${inputs})`,
      }),
      [user.userId, 1],
    );
    await attacked.expectVictimToRun();
    const device = openDevice(attacked.system.webApp, attacked.system.databases);
    const iterations = await waitUntil('the attacker is told', async () => {
      const rows = await device.ourRows({ user, missionId: 'inputs' });
      return rows.length > 0 && device.mission({ user, missionId: 'inputs' });
    });
    expect(iterations['iterations']).toMatchObject([
      { overallStatus: 'failed', errorDetails: { name: 'mission-too-large' } },
    ]);
  });
});
