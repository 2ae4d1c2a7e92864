import fc, { type Arbitrary } from 'fast-check';
import { plainText, sealedText } from './hostile-texts.ts';
import { formatInstant } from '#domain/base/instant.ts';
import { RUNNER_CLIENT_ID } from '#domain/wire/rows.ts';

type Fields = Readonly<Record<string, unknown>>;

/** A row behind the mission's first. */
export interface HostileRow {
  readonly op: string;
  readonly data: unknown;
  readonly fieldMeta?: unknown;
  readonly clientId: string;
}

export interface HostileMission {
  /** In place of, or besides, those of a mission that is due. */
  readonly fields: Fields;
  readonly rows: readonly HostileRow[];
  /** A note in the inputs, encrypted and granted; null for a mission in clear. */
  readonly note: string | null;
}

const nested = (depth: number, leaf: unknown, wrap: (inner: unknown) => unknown): unknown => {
  let value = leaf;
  for (let level = 0; level < depth; level += 1) value = wrap(value);
  return value;
};
const deep = fc
  .tuple(fc.integer({ min: 90, max: 3_000 }), fc.boolean())
  .map(([depth, asList]) => nested(depth, 1, (inner) => (asList ? [inner] : { a: inner })));
/** Parsed, because in a literal the first of them would be the prototype. */
const hostileNames: unknown = JSON.parse(
  '{"__proto__": {"state": "paused"}, "constructor": {"prototype": 1}, "a.b.c": 1, "": 1, "__proto__.state": "paused"}',
);
const wrongType: Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(null, 5, -0, 1e308, true, '', [], [[]], {}, [null], hostileNames),
  plainText,
  deep,
);
const time = fc.constantFrom(
  ...['9999-12-31T23:59:59.999Z', '0001-01-01T00:00:00.000Z', '2026-99-99', 'yesterday', '', 'NaN', '1e12'],
  ...['2999-01-01T00:00:00.000Z', '2026-02-30T25:61:61Z', '+275760-09-13T00:00:00.001Z'],
);

const input: Arbitrary<unknown> = fc.oneof(
  wrongType,
  fc.record({
    module: fc.constantFrom('notes', 'todo', 'ai', '__proto__', 'x'),
    table: fc.constantFrom('notes', 'tasks', 'aiMissions', 'agents', 'pg_authid', 'constructor'),
    id: fc.oneof(plainText, fc.constantFrom('', '%00', '../..', 'x'.repeat(5_000))),
  }),
);
const tenThousandInputs = Array.from({ length: 10_000 }, (_, index) => ({
  ...{ module: 'notes', table: 'notes', id: `none-${index % 7_000}` },
}));

const step: Arbitrary<unknown> = fc.oneof(
  wrongType,
  fc.record(
    {
      ...{
        id: fc.constantFrom('s', 't'),
        summary: plainText,
        status: fc.constantFrom('planned', 'approved', 'x'),
      },
      intent: fc.oneof(
        wrongType,
        fc.constant({ kind: 'toolCall', toolName: 'create_task', params: hostileNames }),
      ),
    },
    { requiredKeys: [] },
  ),
);
/** Also claims: an iteration that another device is at work on. */
const iteration: Arbitrary<unknown> = fc.oneof(
  wrongType,
  fc.record(
    {
      id: fc.constantFrom<unknown>('same', 'other', 5, ''),
      plan: fc.oneof(wrongType, fc.array(step, { maxLength: 5 })),
      startedAt: fc.oneof(time, fc.constant(formatInstant(Date.now()))),
      finishedAt: time,
      source: fc.constantFrom<unknown>('server', 'browser', 'foreign', 7),
      overallStatus: fc.constantFrom<unknown>('running', 'in-progress', 'awaiting-review', 'failed', 9),
      ...{
        summary: plainText,
        userFeedback: plainText,
        currentPhase: plainText,
        cancelRequested: fc.boolean(),
      },
    },
    { requiredKeys: [] },
  ),
);
const manyIterations = fc
  .integer({ min: 100, max: 2_000 })
  .map((count) =>
    Array.from({ length: count }, (_, index) => ({ id: `i${index % 50}`, plan: [], source: 'browser' })),
  );

const grant: Arbitrary<unknown> = fc.oneof(
  wrongType,
  fc.record({
    wrappedKey: fc.base64String({ maxLength: 400 }),
    derivation: fc.oneof(
      wrongType,
      fc.record({
        ...{
          version: fc.constantFrom<unknown>('v1', 'v2', 'v3', 2),
          tables: fc.array(plainText, { maxLength: 3 }),
        },
        recordIds: fc.array(plainText, { maxLength: 3 }),
      }),
    ),
    issuedAt: time,
    expiresAt: time,
  }),
);
const cadence: Arbitrary<unknown> = fc.oneof(
  wrongType,
  fc.constantFrom<unknown>(
    { kind: 'interval', everyMinutes: 525_600 },
    { kind: 'interval', everyMinutes: -1 },
    { kind: 'interval', everyMinutes: '30' },
    { kind: 'daily', atHour: 24, atMinute: -1 },
    { kind: 'cron', expression: '0 0 31 2 *' },
    { kind: 'cron', expression: `${'0,'.repeat(2_000)}0 0 * * *` },
    { kind: 'cron', expression: '0 0 1 1 *', timeZone: 'Mars/Olympus' },
    { kind: 'lunar' },
  ),
);

/** A field, and what a good web app never writes into it. */
const FIELDS: Readonly<Record<string, Arbitrary<unknown>>> = {
  title: fc.oneof(plainText, wrongType),
  objective: fc.oneof(plainText, wrongType),
  conceptMarkdown: fc.oneof(plainText, wrongType),
  inputs: fc.oneof(wrongType, fc.array(input, { maxLength: 20 }), fc.constant(tenThousandInputs)),
  iterations: fc.oneof(wrongType, fc.array(iteration, { maxLength: 20 }), manyIterations),
  agentId: fc.oneof(wrongType, fc.constantFrom<unknown>('agent-of-somebody-else', hostileNames)),
  nextRunAt: fc.oneof(time, wrongType),
  timeZone: fc.constantFrom('Mars/Olympus', 'EST5EDT', 'GMT+25', '../../etc/localtime'),
  state: fc.constantFrom<unknown>('active', 'active', 'active', 'paused', 'ACTIVE', ['active'], null),
  ...{ cadence, grant, deletedAt: time, updatedAt: time, createdAt: time, cancelRequested: fc.boolean() },
  ...{ 'grant.wrappedKey': wrongType, 'cadence.kind': wrongType, '__proto__.state': wrongType },
};
const someFields: Arbitrary<Fields> = fc
  .uniqueArray(fc.constantFrom(...Object.keys(FIELDS)), { minLength: 1, maxLength: 4 })
  .chain((names) => fc.record(Object.fromEntries(names.map((name) => [name, FIELDS[name] ?? wrongType]))));

const row: Arbitrary<HostileRow> = fc.record({
  op: fc.constantFrom('insert', 'update', 'update', 'delete', 'upsert', ''),
  data: fc.oneof(someFields, someFields, wrongType),
  fieldMeta: fc.oneof(
    wrongType,
    fc.dictionary(fc.constantFrom(...Object.keys(FIELDS)), fc.oneof(time, wrongType), { maxKeys: 4 }),
  ),
  clientId: fc.constantFrom('device-1', 'device-2', RUNNER_CLIENT_ID, ''),
});

export const hostileMission: Arbitrary<HostileMission> = fc.oneof(
  fc.record({
    fields: someFields,
    rows: fc.array(row, { maxLength: 4 }),
    note: fc.constant(null),
  }),
  // What an honest app lets its user write: only the words are odd.
  fc.record({
    fields: fc.record({ title: plainText, conceptMarkdown: plainText }, { requiredKeys: [] }),
    rows: fc.constant([]),
    note: sealedText,
  }),
);
