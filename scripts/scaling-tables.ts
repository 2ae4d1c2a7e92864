/**
 * The arithmetic of docs/scaling.md: inputs with their sources, and the tables that follow from them. Change an input, and
 * `node scripts/scaling.ts --write` writes the page anew.
 */
interface Input {
  readonly value: number;
  readonly unit: string;
  readonly source: string;
}
const input = (value: number, unit: string, source: string): Input => ({ value, unit, source });

const ASSUMED = 'assumed';
const MISSIONS_BENCH = 'performance.md, Whole missions, 1,000 ms';
const COST_TEST = 'test/workflows/mission-cost.test.ts';
const PRICES = 'docs.temporal.io/cloud/pricing as read on 2026-11-29';
const ACTIONS = 'docs.temporal.io/cloud/actions as read on 2026-11-29';
const LIMITS = 'docs.temporal.io/cloud/limits as read on 2026-11-29';
const ROWS = 'measured, see Rows';

export const INPUTS = {
  users: input(1_000_000, 'users', 'the question'),
  missionsPerUserDay: input(5, 'missions a user and day', 'the question'),
  busiestHour: input(0.2, 'of a day’s missions in the busiest hour', `${ASSUMED}: mornings of one region`),
  sameMoment: input(0.25, 'of that hour’s missions due at its full hour', `${ASSUMED}: "daily at 8"`),
  jitterSeconds: input(120, 's over which daily missions are spread', 'docs/architecture.md section 5'),
  rounds: input(2, 'rounds a mission', 'performance.md, Tokens: a typical run'),
  gatewaySeconds: input(5, 's the gateway takes for a round', ASSUMED),
  busy: input(0.6, 'of a core is used at the peak', `${ASSUMED}: room for deployments and failures`),

  runnerCpuMs: input(73, 'ms CPU of a runner', MISSIONS_BENCH),
  vaultCpuMs: input(10, 'ms CPU of a vault worker', MISSIONS_BENCH),
  projectionCpuMs: input(3, 'ms CPU of the projection', MISSIONS_BENCH),
  serverCpuMs: input(63, 'ms CPU of Temporal’s server', 'measured once: development server, before ADR 20'),
  postgresCpuMs: input(13, 'ms CPU of PostgreSQL', 'measured once, before ADR 20'),
  callsInFlight: input(100, 'calls of the gateway in flight a runner', 'MANA_LLM_MAX_IN_FLIGHT'),
  connections: input(4, 'connections of PostgreSQL a process', 'DATABASE_MAX_CONNECTIONS'),

  statements: input(94, 'SQL statements', COST_TEST),
  transactions: input(12, 'transactions', COST_TEST),
  events: input(20, 'history events', COST_TEST),
  transitions: input(10, 'state transitions of a run', ROWS),
  historyBytes: input(5_072, 'bytes of history', ROWS),
  earlierIterations: input(30, 'iterations that a mission has already', ASSUMED),
  iterationBytes: input(500, 'bytes of each of them in a stored row', `${ASSUMED}: one step, compressed`),
  deviceRows: input(
    1,
    'rows that devices write about a mission’s run',
    `${ASSUMED}: states of steps, feedback`,
  ),
  projectedRowsPerSecond: input(
    1_140,
    'rows a second one projection takes in',
    'performance.md: 100 rows in 88 ms',
  ),
  schedulesPerSecond: input(69, 'schedules a second the projection makes', 'performance.md, 2,000 schedules'),
  sweptRowsPerDay: input(
    960_000,
    'rows a day the sweep deletes of a table',
    'db/retention.ts: 10,000 every 15 min',
  ),
  retentionDays: input(30, 'days Temporal keeps ended runs', 'bin/yarn temporal:setup unless set'),

  startsPerNamespace: input(
    300,
    'scheduled starts a second of a namespace',
    'docker/temporal-dynamic-config.yaml',
  ),
  updatesPerShard: input(10, 'updates a second of a history shard', `${ASSUMED}: 5 % of one at 5 ms a write`),

  scheduleActions: input(2, 'actions of a schedule for each run', ACTIONS),
  runActions: input(6, 'actions of a run', `${ACTIONS}; counted below`),
  fairnessActions: input(0.1, 'more for each action with fairness', ACTIONS),
  dollarsPerMillion: input(
    25,
    '$ a million actions beyond 100 million',
    `${PRICES}; beyond 200 million: by contract`,
  ),
  retainedDollars: input(0.00105, '$ a GB and hour of ended runs', PRICES),
  actionsPerNamespace: input(500, 'actions a second of a namespace at first', `${LIMITS}; follows use`),
  scheduleRequests: input(10, 'schedule requests a second of a namespace', `${LIMITS}; more by support`),
} as const satisfies Record<string, Input>;

export type Values = Readonly<Record<keyof typeof INPUTS, number>>;

/** What stays of one run of an encrypted mission in a table, with its indexes. */
interface RowsOfRun {
  readonly table: string;
  readonly rows: number;
  readonly bytes: number;
  /** How long, and by whom: docs/operations.md, How long what is kept. */
  readonly days: number;
}
const LOG = 'public.sync_changes';
export const ROWS_OF_RUN: readonly RowsOfRun[] = [
  { table: LOG, rows: 2, bytes: 3_277, days: 365 },
  { table: 'mana_ai.decrypt_audit', rows: 2, bytes: 2_048, days: 365 },
  { table: 'mana_ai.token_usage', rows: 2, bytes: 1_741, days: 400 },
  { table: 'mana_ai.projected_changes', rows: 2, bytes: 410, days: 26 / 24 },
];

const HOUR_SECONDS = 3_600;
const DAY_SECONDS = 86_400;
const DAYS_A_MONTH = 30;
const HOURS_A_MONTH = 744;
const GB = 1e9;

/** What follows from the inputs. */
export function derive(given: Values) {
  const missions = given.users * given.missionsPerUserDay;
  const average = missions / DAY_SECONDS;
  const peak = (missions * given.busiestHour) / HOUR_SECONDS;
  const burst = (missions * given.busiestHour * given.sameMoment) / given.jitterSeconds;
  const cores = (cpuMs: number): number => (peak * cpuMs) / 1_000 / given.busy;
  const inFlight = peak * given.rounds * given.gatewaySeconds;
  const ownRows = peak * (2 + given.deviceRows);
  const actionsOfMission = (given.scheduleActions + given.runActions) * (1 + given.fairnessActions);
  const actionsAMonth = missions * DAYS_A_MONTH * actionsOfMission;
  const transitions = peak * given.transitions;
  const historyGb = (missions * given.retentionDays * given.historyBytes) / GB;
  const runners = Math.ceil(Math.max(cores(given.runnerCpuMs), inFlight / given.callsInFlight));
  return {
    missions,
    average,
    peak,
    burst,
    /** Until what came within the jitter has been started at the rate of the busiest hour with its room. */
    burstMinutes: (missions * given.busiestHour * given.sameMoment) / (peak / given.busy) / 60,
    inFlight,
    runnerCores: cores(given.runnerCpuMs),
    vaultCores: cores(given.vaultCpuMs),
    projectionCores: cores(given.projectionCpuMs),
    serverCores: cores(given.serverCpuMs),
    postgresCores: cores(given.postgresCpuMs),
    runners,
    vaultWorkers: Math.ceil(cores(given.vaultCpuMs)),
    projectedRows: ownRows,
    projectionShare: ownRows / given.projectedRowsPerSecond,
    statements: peak * given.statements,
    transactions: peak * given.transactions,
    connections: (runners + Math.ceil(cores(given.vaultCpuMs)) + 2) * given.connections,
    events: peak * given.events,
    transitions,
    shards: 2 ** Math.ceil(Math.log2(Math.max(1, transitions / given.updatesPerShard))),
    historyGb,
    schedulesHours: missions / given.schedulesPerSecond / HOUR_SECONDS,
    namespacesOwn: Math.ceil(burst / given.startsPerNamespace),
    namespacesCloud: Math.ceil((peak * actionsOfMission) / given.actionsPerNamespace),
    namespacesCloudSchedules: Math.ceil(peak / given.scheduleRequests),
    actionsOfMission,
    actionsAMonth,
    actionDollars: (actionsAMonth / 1e6) * given.dollarsPerMillion,
    storageDollars: historyGb * HOURS_A_MONTH * given.retainedDollars,
    usageRowsADay: missions * given.rounds,
    usageRowsLeft: missions * given.rounds - given.sweptRowsPerDay,
  };
}

const valuesOf = (inputs: Readonly<Record<keyof typeof INPUTS, Input>>): Values =>
  Object.fromEntries(Object.entries(inputs).map(([name, { value }]) => [name, value])) as Values;

const shown = (value: number): string =>
  value >= 100 || Number.isInteger(value) ? Math.round(value).toLocaleString('en-US') : value.toPrecision(2);

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

/** The tables of the page, by the name of their place in it. @param changes inputs with other values */
export function scalingTables(changes: Partial<Values> = {}): Readonly<Record<string, string>> {
  const given: Values = { ...valuesOf(INPUTS), ...changes };
  const [once, tenTimes] = [derive(given), derive({ ...given, users: given.users * 10 })];
  const line = (what: string, of: (derived: typeof once) => number | string): string[] => [
    what,
    ...[once, tenTimes].map((derived) => {
      const value = of(derived);
      return typeof value === 'number' ? shown(value) : value;
    }),
  ];
  const head = ['', `${shown(given.users)} users`, `${shown(given.users * 10)} users`];
  // Each row that writes iterations holds all that there are.
  const inLog = 2 * given.earlierIterations * given.iterationBytes;
  const bytesOf = ({ table: name, bytes }: RowsOfRun): number => bytes + (name === LOG ? inLog : 0);
  return {
    inputs: table(
      ['input', 'value', 'what it is', 'from'],
      Object.entries(INPUTS).map(([name, { unit, source }]) => [
        `\`${name}\``,
        given[name as keyof Values].toLocaleString('en-US', { maximumFractionDigits: 6 }),
        unit,
        source,
      ]),
    ),
    load: table(head, [
      line('missions a day', ({ missions }) => missions),
      line('a second, on average', ({ average }) => average),
      line('a second, in the busiest hour', ({ peak }) => peak),
      line('due a second within the jitter of a full hour', ({ burst }) => burst),
      line('minutes until those have their turn', ({ burstMinutes }) => burstMinutes),
      line('calls of the gateway at a time', ({ inFlight }) => inFlight),
    ]),
    workers: table(head, [
      line('cores for runners', ({ runnerCores }) => runnerCores),
      line('runner processes', ({ runners }) => runners),
      line('cores for vault workers, a process each', ({ vaultCores }) => vaultCores),
      line('cores for the projection', ({ projectionCores }) => projectionCores),
      line('rows a second for the projection', ({ projectedRows }) => projectedRows),
      line('of what one projection takes in', ({ projectionShare }) => `${shown(projectionShare * 100)} %`),
      line('hours to make all schedules for the first time', ({ schedulesHours }) => schedulesHours),
    ]),
    postgres: table(head, [
      line('cores', ({ postgresCores }) => postgresCores),
      line('transactions a second', ({ transactions }) => transactions),
      line('statements a second', ({ statements }) => statements),
      line('connections, without a pooler', ({ connections }) => connections),
      line('rows of `token_usage` a day', ({ usageRowsADay }) => usageRowsADay),
      line('of them more than the sweep deletes', ({ usageRowsLeft }) => Math.max(0, usageRowsLeft)),
    ]),
    rows: table(
      [
        'table',
        'rows a run',
        'bytes a run, with indexes',
        ...head.slice(1).map((of) => `GB a day, ${of}`),
        'kept',
        `GB at the end, ${head[1] ?? ''}`,
      ],
      ROWS_OF_RUN.map((each) => [
        `\`${each.table}\``,
        shown(each.rows),
        shown(bytesOf(each)),
        ...[once, tenTimes].map(({ missions }) => shown((missions * bytesOf(each)) / GB)),
        `${shown(each.days)} days`,
        shown((once.missions * each.days * bytesOf(each)) / GB),
      ]),
    ),
    temporal: table(head, [
      line('scheduled starts a second in the busiest hour', ({ peak }) => peak),
      line('cores for its services, their database not counted', ({ serverCores }) => serverCores),
      line('history events a second', ({ events }) => events),
      line('state transitions a second', ({ transitions }) => transitions),
      line('history shards at least', ({ shards }) => shards),
      line('GB of ended runs', ({ historyGb }) => historyGb),
      line('schedules', ({ missions }) => missions),
      line('namespaces, by scheduled starts within the jitter', ({ namespacesOwn }) => namespacesOwn),
    ]),
    cloud: table(head, [
      line('actions a mission', ({ actionsOfMission }) => actionsOfMission),
      line('million actions a month', ({ actionsAMonth }) => actionsAMonth / 1e6),
      line('$ a month for actions', ({ actionDollars }) => actionDollars),
      line('$ a month for ended runs', ({ storageDollars }) => storageDollars),
      line('namespaces, by actions a second at first', ({ namespacesCloud }) => namespacesCloud),
      line('namespaces, by schedule requests', ({ namespacesCloudSchedules }) => namespacesCloudSchedules),
    ]),
  };
}

/** The page with its tables as the inputs make them; each stands behind `<!-- table NAME -->`. */
export function withTables(page: string, tables: Readonly<Record<string, string>>): string {
  return page.replaceAll(
    /<!-- table (\w+) -->\n\n(?:\|.*\n)*\n*/g,
    (_all, name: string) => `<!-- table ${name} -->\n\n${tables[name] ?? ''}\n\n`,
  );
}
