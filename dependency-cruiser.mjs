/**
 * Import boundaries: the tree is the architecture (docs/contributing.md section 1), and a process can only load the secrets of
 * its own trust zone (docs/architecture.md section 2). Every rule says why, because its name is what a developer sees.
 */
const tests = '\\.test\\.ts$';
/** @param {string} name @param {string} comment @param {string} from @param {string[]} allowed */
const mayImportOnly = (name, comment, from, allowed) => ({
  name,
  comment,
  severity: 'error',
  from: { path: from, pathNot: tests },
  to: { pathNot: [from, ...allowed] },
});
const npm = (/** @type {string[]} */ ...names) => `node_modules/(${names.join('|')})/`;
const node = (/** @type {string[]} */ ...names) => `^(node:)?(${names.join('|')})$`;
/** Rooms that stand in an order: each may look into those before it. */
const inOrder = (/** @type {string} */ house, /** @type {string[]} */ rooms) =>
  rooms.slice(0, -1).map((room, index) => ({
    name: `${house}/${room}`.replaceAll('/', '-') + '-looks-down',
    comment: `The rooms of ${house}/ stand in an order: each may look into those before it.`,
    severity: /** @type {const} */ ('error'),
    from: { path: `^${house}/${room}/`, pathNot: tests },
    to: { path: `^${house}/(${rooms.slice(index + 1).join('|')})/` },
  }));
/** `wire` is what stands in the log, as every other room reads and writes it. */
const rooms = ['base', 'wire', 'change-log', 'grant', 'cadence', 'run', 'iteration', 'planner', 'projection'];
const plannerRooms = ['model', 'tools', 'injection', 'plan', 'prompt'];

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      comment: 'Imports go downwards only.',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-unresolved',
      severity: 'error',
      comment: 'An import that does not resolve.',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'no-dev-dependencies-in-the-product',
      severity: 'error',
      comment: 'Production installs no development dependency.',
      from: {
        pathNot: [
          '^(dev|scripts|test|bench|eval|node_modules)/',
          tests,
          '^vitest(\\.(ui|mutation|windows))?\\.config\\.ts$',
        ],
      },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'no-undeclared-dependencies',
      severity: 'error',
      comment: 'A package that only happens to be installed is gone with the one that brought it.',
      from: { pathNot: '^node_modules/' },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown', 'npm-optional', 'npm-peer'] },
    },
    {
      name: 'operators-commands-load-no-development-code',
      severity: 'error',
      comment: 'They run in the production image, which holds neither dev/ nor its packages.',
      from: { path: '^commands/', pathNot: tests },
      to: { path: '^(dev|test|bench|eval)/', reachable: true },
    },
    mayImportOnly('domain-is-pure', 'domain/ holds pure rules: no I/O, no Node built-ins.', '^domain/', [
      npm('zod', 'croner', 'temporal-polyfill', 'entities'),
    ]),
    ...inOrder('domain', rooms),
    ...inOrder('domain/planner', plannerRooms),
    mayImportOnly('crypto-is-bytes', 'crypto/: bytes in, bytes out.', '^crypto/', [
      '^domain/',
      npm('uuid'),
      node('crypto'),
    ]),
    mayImportOnly(
      'workflows-are-deterministic',
      'workflows/ are replayed: only @temporalio/workflow, domain/, the messages and the trace header.',
      '^workflows/',
      [
        '^domain/',
        '^temporal/(messages|trace-header)\\.ts$',
        npm('@temporalio/workflow', '@temporalio/common'),
        '^activities/',
      ],
    ),
    {
      name: 'workflows-take-only-types-from-activities',
      severity: 'error',
      comment: 'An activity in the bundle would run inside the sandbox.',
      from: { path: '^workflows/' },
      to: { path: '^activities/', dependencyTypesNot: ['type-only'] },
    },
    mayImportOnly('db-is-sql', 'db/ holds all SQL and nothing else.', '^db/', [
      '^domain/',
      npm('pg', 'sql-template-tag'),
      node('crypto', 'events', 'fs', 'net', 'timers/promises'),
    ]),
    mayImportOnly(
      'migrations-stand-alone',
      'migrations/ holds the schema and what brings it about.',
      '^migrations/',
      [npm('pg'), node('crypto', 'fs', 'os', 'path', 'timers/promises')],
    ),
    mayImportOnly('llm-is-the-gateway', 'llm/ is the gateway client.', '^llm/', [
      '^domain/',
      '^http/',
      npm('openai', 'p-limit', 'undici', 'zod'),
    ]),
    mayImportOnly('http-is-of-no-service', 'http/ is what the clients of services share.', '^http/', []),
    mayImportOnly(
      'research-is-its-services',
      'research/ holds the clients of the research services.',
      '^research/',
      ['^domain/', '^http/', npm('zod')],
    ),
    mayImportOnly(
      'metrics-are-figures',
      'metrics/ counts; it knows neither who calls nor why.',
      '^metrics/',
      ['^domain/', npm('prom-client')],
    ),
    mayImportOnly('temporal-is-wiring', 'temporal/: connection and converters.', '^temporal/', [
      '^crypto/',
      '^domain/',
      npm('@temporalio/(client|common|envconfig|proto|worker|workflow)'),
      node('timers/promises', 'url'),
    ]),
    mayImportOnly('schedules-are-schedules', 'schedules/: mission to Temporal Schedule.', '^schedules/', [
      '^domain/',
      '^temporal/',
      npm('@temporalio/(client|common|proto)'),
      node('crypto', 'timers/promises'),
    ]),
    mayImportOnly('runs-are-executions', 'runs/: starting, finding and ending runs by a client.', '^runs/', [
      '^(domain|schedules|temporal)/',
      npm('@temporalio/(client|common|proto)', 'p-limit'),
      node('timers/promises'),
    ]),
    mayImportOnly(
      'activities-touch-the-world',
      'activities/ join the parts that a run needs.',
      '^activities/',
      [
        '^(crypto|db|domain|llm|metrics|research|runs|schedules|temporal|vault)/',
        npm('@temporalio/(activity|common)', 'p-limit'),
        node('crypto', 'timers/promises'),
      ],
    ),
    mayImportOnly(
      'api-is-http',
      'api/ answers requests: it reads, checks, and starts workflows by a client.',
      '^api/',
      [
        '^config\\.ts$',
        '^(crypto|db|domain|health|logging|metrics|runs|schedules|temporal|tracing|vault)/',
        npm('fastify', '@fastify/.*', 'fastify-type-provider-zod', 'jose', 'openapi-types', 'zod'),
        npm('@temporalio/(client|common)'),
        node('crypto', 'http', 'net'),
      ],
    ),
    mayImportOnly(
      'config-is-settings',
      'config/ turns the environment into settings.',
      '^(config/|config\\.ts$)',
      ['^(crypto|domain|temporal)/', npm('zod'), node('crypto', 'fs', 'net')],
    ),
    mayImportOnly(
      'worker-composes',
      'worker/ makes the parts of the worker processes.',
      '^(worker/|worker\\.ts$)',
      [
        '^config\\.ts$',
        '^(activities|db|domain|health|llm|logging|metrics|research|runs|schedules|temporal|tracing)/',
        npm('@temporalio/(client|common|proto|worker|workflow)', 'pino'),
        node('events', 'net', 'timers/promises', 'url'),
      ],
    ),
    mayImportOnly(
      'tracing-is-spans',
      'tracing/ makes spans, and knows neither who calls nor why.',
      '^tracing/',
      [
        '^(domain|metrics)/',
        '^temporal/trace-header\\.ts$',
        npm('@opentelemetry/[^/]+', '@temporalio/(client|common|worker|workflow)'),
        node('async_hooks', 'crypto'),
      ],
    ),
    {
      name: 'opentelemetry-is-loaded-on-demand',
      severity: 'error',
      comment:
        'Where tracing is off, none of it is loaded: one file imports it, and that one is imported dynamically.',
      from: { pathNot: ['^tracing/otlp\\.ts$', '^node_modules/', tests] },
      to: { path: 'node_modules/@opentelemetry/', dependencyTypesNot: ['type-only'] },
    },
    mayImportOnly('health-is-liveness', 'health/ says whether its process can do its work.', '^health/', [
      '^package\\.json$',
      '^(logging|metrics)/',
      npm('pino'),
      node('events', 'http', 'worker_threads'),
    ]),
    mayImportOnly(
      'logging-is-lines',
      'logging/ writes lines, and reduces errors to what quotes nothing.',
      '^logging/',
      ['^domain/', npm('pino')],
    ),
    {
      name: 'api-never-imports-activities',
      severity: 'error',
      comment: 'The API starts workflows; it never does their work.',
      from: { path: '^api/' },
      to: { path: '^(activities/|llm/|research/|worker\\.ts$|workflows/)' },
    },
    {
      name: 'the-api-loads-no-worker',
      severity: 'error',
      comment: 'The API starts and reads runs by a client; the native core belongs to worker processes.',
      from: { path: '^api/', pathNot: tests },
      to: { path: npm('@temporalio/worker'), reachable: true },
    },
    {
      name: 'activities-never-import-api-or-workflow-code',
      severity: 'error',
      comment: 'activities/ is the only place where a run touches the world; it does not know who calls it.',
      from: { path: '^activities/', pathNot: tests },
      to: { path: '^(api/|worker\\.ts$|workflows/)' },
    },
    // The trust zones: reachable, because what a module loads indirectly it holds as well.
    {
      name: 'only-the-runner-unwraps-grants',
      severity: 'error',
      comment:
        'The RSA private key lives in the runner (and in the development process): docs/architecture.md section 2.',
      from: { path: '^(api|activities/(vault|projection)|worker/(vault|projection))', pathNot: tests },
      to: { path: '^crypto/unwrap-grant\\.ts$', reachable: true },
    },
    {
      name: 'only-the-vault-zone-opens-vaults',
      severity: 'error',
      comment: 'The vault KEK lives in the API and the vault worker: docs/architecture.md section 2.',
      from: { path: '^(activities/(runner|projection)|worker/(runner|projection))', pathNot: tests },
      to: { path: '^(vault/|crypto/unwrap-master-key\\.ts$)', reachable: true },
    },
    {
      name: 'no-way-to-the-llm-outside-the-runner',
      severity: 'error',
      comment: 'Whoever holds the KEK has no route to the LLM: docs/architecture.md section 2.',
      from: { path: '^(api|vault|activities/(vault|projection)|worker/(vault|projection))', pathNot: tests },
      to: { path: '^(llm|research)/', reachable: true },
    },
    mayImportOnly(
      'vault-opens-vaults',
      'vault/ joins crypto/ and db/ for the two processes that hold the KEK.',
      '^vault/',
      ['^crypto/', '^db/', '^domain/'],
    ),
    {
      name: 'only-entry-points-and-tests-use-development-code',
      severity: 'error',
      comment: 'dev/ is the embedded stack; the product does not know it.',
      from: { pathNot: '^(dev|scripts|test|bench|eval)/|\\.test\\.ts$|^vitest\\.config\\.ts$' },
      to: { path: '^(dev|scripts|test|bench|eval)/' },
    },
    mayImportOnly(
      'eval-judges-models-from-outside',
      'eval/ acts as users and devices do, and scores what came of it; dev/ starts the service.',
      '^eval/',
      ['^dev/', '^domain/', '^llm/reply-schema\\.ts$', node('crypto', 'timers/promises')],
    ),
    mayImportOnly(
      'the-checker-knows-what-is-stored',
      'test/checker/ counts what the fault suite promises, and must not err where the product errs.',
      '^test/checker/',
      [npm('@temporalio/client', 'pg'), node('crypto', 'events', 'fs')],
    ),
    {
      name: 'the-stack-knows-no-missions-to-score',
      severity: 'error',
      comment: 'eval/ stands on dev/, not the other way round.',
      from: { path: '^dev/' },
      to: { path: '^eval/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    exclude: { path: '^(\\.tools|dist)/' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
