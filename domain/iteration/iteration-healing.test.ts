import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mergeRecord, writesOfField } from '#domain/change-log/field-merge.ts';
import { type ChangeRow, RUNNER_CLIENT_ID } from '#domain/wire/rows.ts';
import { formatInstant } from '#domain/base/instant.ts';
import { healingOf } from './iteration-healing.ts';
import {
  acceptableIterations,
  failedIteration,
  plannedIteration,
  runningIteration,
  withIteration,
} from './iterations.ts';
import {
  type RunningIteration,
  type ServerIteration,
  type FailureCode,
  stepRank,
  stepsOf,
  type StoredObject,
} from '#domain/wire/iteration.ts';
import { NO_KNOWN_ITERATIONS, takeInIterations } from './known-iterations.ts';
import { lossesIn } from '#test/support/iteration-losses.ts';

const START_MS = Date.parse('2026-05-04T12:00:00Z');
const timesOf = (id: string, atMs: number) => ({
  iterationId: id,
  startedAtIso: formatInstant(atMs),
  finishedAtIso: formatInstant(atMs + 10),
});
const STEPS = ['s1', 's2'].map((id) => ({
  id,
  summary: 'Create task: x',
  intent: { kind: 'toolCall', toolName: 'create_task', params: { title: 'x' } },
  status: 'planned' as const,
}));
const planned = (id: string, atMs = START_MS): ServerIteration =>
  plannedIteration(timesOf(id, atMs), STEPS as never, 'Geplant.');
const failed = (id: string, atMs = START_MS, code: FailureCode = 'grant-absent'): ServerIteration =>
  failedIteration(timesOf(id, atMs), { code, phase: 'resolving-inputs' }, 'Erteile die Freigabe.');
const running = (iterationId: string, atMs = START_MS): RunningIteration => {
  const startedAtIso = formatInstant(atMs);
  return runningIteration({ iterationId, startedAtIso, phaseStartedAtIso: startedAtIso });
};
const ofDevice = (id: string, more: StoredObject = {}): StoredObject => ({
  id,
  plan: [],
  source: 'browser',
  overallStatus: 'approved',
  ...more,
});
const withStep = (iteration: StoredObject, stepId: string, state: StoredObject): StoredObject => ({
  ...iteration,
  plan: stepsOf(iteration).map((step) =>
    (step as StoredObject)['id'] === stepId ? { ...(step as StoredObject), ...state } : step,
  ),
});
const ids = (iterations: readonly StoredObject[] | undefined) => iterations?.map(({ id }) => id);

/** Rows arrive, and are meant, in the order of the calls unless told otherwise. */
let arrival = 0;
function row(
  id: string,
  clientId: string,
  iterations: unknown,
  times: { readonly atMs?: number; readonly arrivedAtMs?: number } = {},
): ChangeRow {
  arrival += 1_000;
  const { arrivedAtMs = START_MS + arrival, atMs = arrivedAtMs } = times;
  return {
    ...{ id, op: 'update', data: { iterations }, clientId },
    fieldMeta: { iterations: formatInstant(atMs) },
    createdAt: formatInstant(arrivedAtMs),
  };
}
const ours = (id: string, iterations: unknown, times = {}) => row(id, RUNNER_CLIENT_ID, iterations, times);

describe('an array of a device that had not pulled', () => {
  it('gets ours back, and names its row', () => {
    const rows = [
      row('r1', 'device-1', []),
      ours('r2', [planned('i1')]),
      row('r3', 'device-1', [ofDevice('d1')]),
    ];
    expect(healingOf(rows)).toEqual({
      overwritingRowId: 'r3',
      iterations: [ofDevice('d1'), planned('i1')],
      restored: 1,
    });
    expect(healingOf(rows.toReversed())).toEqual(healingOf(rows));
  });

  it.each([null, 'text', 5, {}])('or that holds %j instead of a list, gets ours back', (value) => {
    expect(ids(healingOf([ours('r1', [planned('i1')]), row('r2', 'device-1', value)])?.iterations)).toEqual([
      'i1',
    ]);
  });

  it('gets ours back also when our next run had written on top of it', () => {
    const rows = [
      ours('r1', [planned('i1')]),
      row('r2', 'device-1', [ofDevice('d1')]),
      ours('r3', [ofDevice('d1'), planned('i2', START_MS + 1)]),
    ];
    expect(ids(healingOf(rows)?.iterations)).toEqual(['d1', 'i1', 'i2']);
    expect(healingOf(rows)?.overwritingRowId).toBe('r3');
  });

  it('gets ours back in the version that devices had brought it to', () => {
    const reviewed = {
      ...withStep({ ...planned('i1') }, 's1', { status: 'approved', proposalId: 'p1' }),
      ...{ userFeedback: 'gut', overallStatus: 'approved', reviewedAt: 'x' },
    };
    const rows = [ours('r1', [planned('i1')]), row('r2', 'device-1', [reviewed]), row('r3', 'device-2', [])];
    expect(healingOf(rows)?.iterations).toEqual([reviewed]);
  });

  it('takes no feedback and no step state of ours back either', () => {
    const staged = withStep({ ...planned('i1') }, 's1', { status: 'staged', proposalId: 'p1' });
    const approved = withStep({ ...staged, userFeedback: 'gut' }, 's1', { status: 'approved' });
    const rejected = withStep({ ...planned('i1') }, 's2', { status: 'rejected' });
    const rows = [
      ours('r1', [planned('i1')]),
      row('r2', 'device-1', [approved]),
      row('r3', 'device-2', [staged]),
      row('r4', 'device-3', [rejected]),
    ];
    expect(healingOf(rows)?.iterations).toEqual([
      {
        ...withStep(withStep({ ...planned('i1') }, 's1', { status: 'approved', proposalId: 'p1' }), 's2', {
          status: 'rejected',
        }),
        userFeedback: 'gut',
      },
    ]);
  });

  it('does not bring back that ours waits, once a device has said what became of it', () => {
    const decided = (overallStatus: string) => ({ ...planned('i1'), overallStatus });
    for (const overallStatus of ['approved', 'rejected', 'failed']) {
      const rows = [
        ours('r1', [planned('i1')]),
        row('r2', 'device-1', [decided(overallStatus)]),
        row('r3', 'device-2', [{ ...planned('i1'), userFeedback: 'gut' }]),
      ];
      expect(healingOf(rows)?.iterations).toEqual([{ ...decided(overallStatus), userFeedback: 'gut' }]);
    }
    const rows = [ours('r1', [planned('i1')]), row('r2', 'a', [decided('approved')])];
    expect(healingOf([...rows, row('r3', 'b', [decided('rejected')])])).toBeNull();
  });

  it('of its own is left at the state that it says last', () => {
    const own = (overallStatus: string) => ofDevice('d1', { overallStatus });
    const rows = [
      ours('r1', [planned('i1')]),
      row('r2', 'device-1', [planned('i1'), own('failed')]),
      row('r3', 'device-1', [planned('i1'), own('running')]),
    ];
    expect(healingOf(rows)).toBeNull();
  });

  it('keeps the last word where devices decided differently', () => {
    const decided = (status: string, userFeedback: string) => [
      { ...withStep({ ...planned('i1') }, 's1', { status }), userFeedback },
    ];
    const rows = [ours('r1', [planned('i1')]), row('r2', 'a', decided('approved', 'gut'))];
    expect(healingOf([...rows, row('r3', 'b', decided('rejected', 'doch nicht'))])).toBeNull();
  });

  it('may leave out what is its own: that is its business', () => {
    const rows = [ours('r1', [ofDevice('d1'), planned('i1')]), row('r2', 'device-1', [planned('i1')])];
    expect(healingOf(rows)).toBeNull();
  });

  it('changes nothing where we never wrote', () => {
    const rows = [row('r1', 'a', [ofDevice('d1', { userFeedback: 'x' })]), row('r2', 'b', [ofDevice('d1')])];
    expect(healingOf(rows)).toBeNull();
    expect(healingOf([])).toBeNull();
  });

  it('of before the record was removed counts no more', () => {
    const removal = { ...row('r2', 'device-1', []), op: 'delete', data: {} };
    const again = { ...row('r3', 'device-1', []), op: 'insert' };
    expect(healingOf([ours('r1', [planned('i1')]), removal, again])).toBeNull();
  });
});

describe('an array of a device that lost to ours', () => {
  const lost = { arrivedAtMs: START_MS + 2_000 };
  const won = { arrivedAtMs: START_MS + 3_000 };

  it('while we were reading: its iterations, feedback and step states come back', () => {
    const said = withStep({ ...planned('i1'), userFeedback: 'neu' }, 's1', { status: 'skipped' });
    const rows = [
      row('r1', 'device-1', [{ ...planned('i1'), userFeedback: 'alt' }], { arrivedAtMs: START_MS }),
      row('r2', 'device-1', [said, ofDevice('d1')], lost),
      ours('r3', [{ ...planned('i1'), userFeedback: 'alt' }, planned('i2', START_MS + 5)], won),
    ];
    expect(healingOf(rows)).toEqual({
      overwritingRowId: 'r3',
      iterations: [ofDevice('d1'), said, planned('i2', START_MS + 5)],
      restored: 2,
    });
  });

  it('brings back nothing that an earlier device had removed', () => {
    const rows = [
      row('r1', 'device-1', [ofDevice('d1')], { arrivedAtMs: START_MS }),
      row('r2', 'device-1', [], lost),
      ours('r3', [planned('i1')], won),
    ];
    expect(healingOf(rows)).toBeNull();
  });
});

describe('a failure of ours that we replaced by the same one', () => {
  const rows = [
    ours('r1', [failed('i1')]),
    ours('r2', [failed('i2', START_MS + 1)]),
    ours('r3', [failed('i3', START_MS + 2)]),
  ];

  it('stays away, also when a stale device had sent it again', () => {
    expect(healingOf(rows)).toBeNull();
    const stale = row('r4', 'device-1', []);
    expect(ids(healingOf([...rows, stale])?.iterations)).toEqual(['i3']);
    const again = [...rows, row('r5', 'device-1', [failed('i1')])];
    expect(ids(healingOf([...again, row('r6', 'device-2', [])])?.iterations)).toEqual(['i3']);
  });

  it('comes back with what the user said about it meanwhile', () => {
    const said = row('r4', 'device-1', [{ ...failed('i1'), userFeedback: 'ja' }], {
      atMs: START_MS,
      arrivedAtMs: START_MS,
    });
    expect(ids(healingOf([...rows, said])?.iterations)).toEqual(['i1', 'i3']);
  });

  it('comes back with what the user said while it was under way, and a device that had not pulled took away', () => {
    const claims = [
      ours('c1', [running('i1')]),
      row('c2', 'device-1', [{ ...running('i1'), userFeedback: 'nicht heute' }]),
      row('c3', 'device-2', [running('i1')]),
    ];
    const healed = [{ ...failed('i1'), userFeedback: 'nicht heute' }, failed('i2', START_MS + 1)];
    const [first, second] = [ours('r1', [failed('i1')]), ours('r2', [failed('i2', START_MS + 1)])];
    expect(healingOf([...claims, first, second])?.iterations).toEqual(healed);
  });

  it('is told from one that a device took away', () => {
    const other = [
      ours('r1', [failed('i1')]),
      row('r2', 'device-1', []),
      ours('r3', [planned('i2', START_MS + 1)]),
      ours('r4', [planned('i2', START_MS + 1), failed('i3', START_MS + 2)]),
    ];
    expect(ids(healingOf(other)?.iterations)).toEqual(['i1', 'i2', 'i3']);
  });
});

it.each([
  [[5, null, [], 'x', { id: 7 }, { id: '', plan: 'x' }]],
  [[{ id: 'i1', plan: [5, null, { id: 7 }, { id: 's1', status: {} }], userFeedback: { a: 1 } }]],
  [[planned('i1'), planned('i1'), { ...planned('i1'), userFeedback: 'x' }]],
  [JSON.parse('[{"id": "__proto__", "plan": [], "__proto__": {"userFeedback": "x"}}]')],
])('rows of any shape are healed to something that needs no healing: %j', (iterations) => {
  const rows = [ours('r1', [planned('i1')]), row('r2', 'a', iterations), row('r3', 'b', [])];
  for (const given of [rows, rows.slice(0, 2)]) {
    const healing = healingOf(given);
    if (healing !== null) expect(healingOf([...given, ours('r4', healing.iterations)])).toBeNull();
  }
});

/** What happens next: numbers, so that a failing story can be shrunk. */
interface Turn {
  readonly what: 'edit' | 'pull' | 'claim' | 'run' | 'race' | 'fail' | 'heal' | 'late' | 'arrive';
  readonly device: number;
  readonly edit: Edit;
}
/** What the user does to which iteration; beyond the last one there is a new one of the device's own. */
interface Edit {
  readonly at: number;
  readonly what: 'say' | 'step' | 'decide' | 'resend';
  readonly stepId: 's1' | 's2';
  readonly status: string;
  readonly proposes: boolean;
}
const DEVICES = 3;
const turns = fc.array(
  fc.record<Turn>({
    what: fc.constantFrom(
      'edit',
      'edit',
      'edit',
      'edit',
      'pull',
      'pull',
      'claim',
      'run',
      'race',
      'fail',
      'heal',
      'late',
      'arrive',
    ),
    device: fc.nat(DEVICES - 1),
    edit: fc.record<Edit>({
      at: fc.nat(3),
      what: fc.constantFrom('say', 'step', 'step', 'decide', 'resend'),
      stepId: fc.constantFrom('s1', 's2'),
      status: fc.constantFrom('staged', 'approved', 'rejected', 'skipped', 'failed'),
      proposes: fc.boolean(),
    }),
  }),
  { minLength: 1, maxLength: 30 },
);

/** Devices and runs that write as they do, on a log whose rows may become visible late. */
function play(story: readonly Turn[]) {
  let nowMs = START_MS;
  const visible: ChangeRow[] = [];
  const onTheWay: ChangeRow[] = [];
  const local = Array.from({ length: DEVICES }, (): StoredObject[] => []);
  const runs: ServerIteration[] = [];
  let known = NO_KNOWN_ITERATIONS;
  const count = { suspicions: 0, heals: 0 };
  const missed: string[] = [];

  const current = (rows: readonly ChangeRow[]): StoredObject[] =>
    acceptableIterations(mergeRecord('m', rows)?.record['iterations']);
  const show = (shown: ChangeRow): void => {
    visible.push(shown);
    const taken = takeInIterations(known, {
      value: (shown.data as StoredObject)['iterations'],
      byUs: shown.clientId === RUNNER_CLIENT_ID,
      wins: writesOfField(visible, 'iterations').at(-1)?.row.id === shown.id,
    });
    known = taken.known;
    if (taken.mayNeedHealing) count.suspicions += 1;
    if (healingOf(visible) !== null && count.suspicions === 0) missed.push(shown.id);
  };
  const write = (clientId: string, iterations: readonly StoredObject[], late = false): void => {
    nowMs += 1_000;
    const written = row(`r${String(nowMs)}`, clientId, structuredClone(iterations), { arrivedAtMs: nowMs });
    if (late) onTheWay.push(written);
    else show(written);
  };
  const heal = (): void => {
    const healing = healingOf(visible);
    count.suspicions = 0;
    if (healing === null) return;
    count.heals += 1;
    write(RUNNER_CLIENT_ID, healing.iterations);
  };
  const edit = (device: number, { at, what, stepId, status, proposes }: Edit, late: boolean): void => {
    const own = local[device] ?? [];
    const before = own[at];
    if (before === undefined) own.push(ofDevice(`d${String(nowMs)}`, { startedAt: formatInstant(nowMs) }));
    else if (what === 'say') own[at] = { ...before, userFeedback: `said ${String(nowMs)}` };
    else if (what === 'step') {
      const step = stepsOf(before).find((each) => (each as StoredObject)['id'] === stepId);
      const isForward = stepRank(status) >= stepRank((step as StoredObject | undefined)?.['status']);
      const state = { status, ...(proposes ? { proposalId: `p${String(nowMs)}` } : {}) };
      // The web app goes forwards only.
      if (isForward) own[at] = withStep(before, stepId, state);
    } else if (what === 'decide' && before['source'] === 'server' && before['overallStatus'] !== 'failed')
      own[at] = { ...before, overallStatus: status === 'rejected' ? 'rejected' : 'approved' };
    write(`device-${String(device)}`, own, late);
  };
  /** A run may claim its instant, and end turns later; or it is seen with its outcome only. */
  const claimed: { id: string; atMs: number }[] = [];
  const claim = (): void => {
    if (claimed.length > 0) return;
    const begun = { id: `i${String(nowMs)}`, atMs: nowMs };
    claimed.push(begun);
    write(RUNNER_CLIENT_ID, withIteration(current(visible), running(begun.id, begun.atMs)));
  };
  const run = (outcome: (id: string, atMs: number) => ServerIteration, read = current(visible)): void => {
    const { id, atMs } = claimed.pop() ?? { id: `i${String(nowMs)}`, atMs: nowMs };
    const added = outcome(id, atMs);
    runs.push(added);
    write(RUNNER_CLIENT_ID, withIteration(read, added));
  };
  /** The device's row becomes visible when the run has read and not yet written. */
  const race = (device: number, turn: Edit): void => {
    const read = current(visible);
    edit(device, turn, false);
    run(planned, read);
  };

  const pull = (device: number): void => {
    const ownRows = onTheWay.filter(({ clientId }) => clientId === `device-${String(device)}`);
    local[device] = current([...visible, ...ownRows]);
  };

  run(planned);
  local.forEach((_, device) => pull(device));
  for (const turn of story) {
    const { what, device } = turn;
    if (what === 'edit' || what === 'late') edit(device, turn.edit, what === 'late');
    else if (what === 'claim') claim();
    else if (what === 'run') run(planned);
    else if (what === 'fail')
      run((id, atMs) => failed(id, atMs, turn.edit.proposes ? 'gateway-rejected' : 'grant-absent'));
    else if (what === 'race') race(device, turn.edit);
    else if (what === 'heal') heal();
    else if (what === 'pull') pull(device);
    else {
      const arrived = onTheWay.shift();
      if (arrived !== undefined) show(arrived);
    }
  }
  if (claimed.length > 0) run(planned);
  for (const arrived of onTheWay.splice(0)) show(arrived);
  // As often as it is suspected, and not once more.
  while (count.suspicions > 0 && count.heals <= visible.length) heal();
  return { visible, runs, heals: count.heals, missed };
}

describe('devices that edit while runs write and heal', () => {
  const check = (property: (story: ReturnType<typeof play>) => void): void => {
    fc.assert(
      fc.property(turns, (story) => {
        property(play(story));
      }),
      { numRuns: 250 },
    );
  };

  it('lose no iteration, no feedback, no decision and no step state', () => {
    check(({ visible, runs }) => {
      const written = runs.map(({ id, errorDetails }) => ({ id, failure: errorDetails?.name ?? null }));
      expect(lossesIn(visible, written)).toEqual([]);
    });
  });

  it('make us write at most once for each of their rows and of our runs’, and then no more', () => {
    check(({ visible, heals }) => {
      expect(heals).toBeLessThanOrEqual(visible.length - heals);
      expect(healingOf(visible)).toBeNull();
    });
  });

  it('are healed alike in whatever order the rows are read', () => {
    check(({ visible }) => {
      const rows = visible.slice(0, -1);
      expect(healingOf(rows.toReversed())).toEqual(healingOf(rows));
    });
  });

  it('are found out by what is kept of earlier rows, each time that something is lost', () => {
    check(({ missed }) => {
      expect(missed).toEqual([]);
    });
  });
});
