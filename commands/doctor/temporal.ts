import { Client, type Connection } from '@temporalio/client';
import type { TemporalCommandConfig } from '#config/temporal-command.ts';
import { codecKeysInUse, opensInputOf } from '#schedules/codec-keys-in-use.ts';
import { serverClock } from '#schedules/server-clock.ts';
import { createServerZones } from '#schedules/server-zones.ts';
import { systemWorkAt } from '#schedules/system-schedules.ts';
import { connect, withCallDeadline } from '#temporal/connection.ts';
import { createDataConverter } from '#temporal/data-converter.ts';
import type { Namespace } from '#temporal/namespaces.ts';
import { GRPC_STATUS, hasGrpcStatus } from '#temporal/grpc-status.ts';
import {
  MISSION_RUN_WORKFLOW_TYPE,
  PROJECTION_TASK_QUEUE,
  RUNNER_TASK_QUEUE,
  VAULT_TASK_QUEUE,
} from '#temporal/messages.ts';
import { searchAttributesOf } from '#temporal/setup.ts';
import { pollsOf } from '#temporal/task-queue-polls.ts';
import { judgeClock } from './databases.ts';
import { fault, ok, unchecked, warning, type DoctorCheck, type Judgement } from '../finding.ts';

const CONNECT_WITHIN_MS = 3_000;
const CALL_WITHIN_MS = 5_000;
/** The server lists a thousand at once, in some 100 ms. */
const SCHEDULES_LOOKED_AT = 20_000;
/** A poll waits at the server for up to a minute. */
const POLLED_WITHIN_MS = 90_000;
const DAY_SECONDS = 86_400;
/** Where the platform's users are, and what every server knows. */
const ZONES = ['UTC', 'Europe/Berlin'];

/** All of it asks one server; the connection is made by the first that asks. */
export function temporalChecks(config: TemporalCommandConfig): {
  readonly checks: readonly DoctorCheck[];
  readonly close: () => Promise<void>;
} {
  const { temporal, codecKeys: keys } = config;
  let connecting: Promise<Connection> | null = null;
  const connected = (): Promise<Connection> => (connecting ??= connect(temporal, CONNECT_WITHIN_MS));
  const dataConverter = createDataConverter(keys);
  const namespaces = temporal.namespaces ?? [{ name: temporal.namespace, isOpen: true }];
  const checksIn = ({ name: namespace, isOpen }: Namespace, nth: number): DoctorCheck[] => {
    const asking = (name: string, look: Look): DoctorCheck => ({
      name: namespaces.length === 1 ? name : `${name} (${namespace})`,
      look: async () => {
        const connection = await connected();
        return look(new Client({ connection, namespace, dataConverter }), connection);
      },
    });
    const isHome = nth === 0;
    const checks = [
      asking('Temporal namespace', namespaceOf),
      asking('search attributes', searchAttributes),
      asking('task queues', (client) => taskQueues(client, isHome)),
      ...(isHome ? [asking('system schedules', systemWork)] : []),
      asking('codec keys', (client) => codecKeys(client, config)),
      ...(isHome ? [asking('clock of Temporal', clock), asking('time zones', timeZones)] : []),
      ...(isOpen ? [] : [asking('closed', whatIsLeft)]),
    ];
    return checks.map((check) => inNamespace(check, namespace));
  };
  const checks: DoctorCheck[] = [
    ...namespaces.flatMap(checksIn),
    { name: 'fairness', look: () => Promise.resolve(unreadable('matching.enableFairness', 'true')) },
    {
      name: 'schedule start rate',
      look: () => Promise.resolve(unreadable('worker.schedulerNamespaceStartWorkflowRPS', '300')),
    },
  ];
  const close = async (): Promise<void> => {
    await connecting?.then(
      (connection) => connection.close(),
      () => undefined,
    );
  };
  return { checks, close };
}

type Look = (client: Client, connection: Connection) => Promise<Judgement | readonly Judgement[]>;

/** The server says NOT_FOUND of everything in a namespace that it does not have. */
const inNamespace = (check: DoctorCheck, namespace: string): DoctorCheck => ({
  name: check.name,
  look: async () => {
    try {
      return await check.look();
    } catch (error) {
      if (!isNotFound(error)) throw error;
      return fault(
        `namespace ${namespace} does not exist`,
        'bin/yarn missions setup, or set TEMPORAL_NAMESPACE or TEMPORAL_NAMESPACES',
      );
    }
  },
});

const isNotFound = (error: unknown): boolean =>
  hasGrpcStatus(error, GRPC_STATUS.NOT_FOUND) ||
  (error instanceof Error && error.cause !== undefined && isNotFound(error.cause));

/** The server tells its clients nothing of its dynamic configuration. */
const unreadable = (key: string, value: string): Judgement =>
  unchecked(
    'no call of the server tells',
    `see that its dynamic configuration has ${key}: ${value}, as docker/temporal-dynamic-config.yaml does`,
  );

async function namespaceOf(client: Client): Promise<Judgement> {
  const { namespace } = client.options;
  const { config } = await withCallDeadline(
    client.connection,
    () => client.workflowService.describeNamespace({ namespace }),
    CALL_WITHIN_MS,
  );
  const days = Number(config?.workflowExecutionRetentionTtl?.seconds ?? 0) / DAY_SECONDS;
  return ok(`${namespace} exists, ended runs are kept for ${Math.round(days)} days`);
}

async function searchAttributes(client: Client, connection: Connection): Promise<Judgement> {
  const { missing, otherTypes } = await searchAttributesOf(connection, client.options.namespace);
  if (otherTypes.length > 0) {
    return fault(
      `with another type than Keyword: ${otherTypes.join(', ')}`,
      'remove or rename them, then bin/yarn missions setup',
    );
  }
  return missing.length > 0
    ? fault(`missing: ${missing.join(', ')}`, 'bin/yarn missions setup')
    : ok('all are registered as Keyword');
}

async function taskQueues(client: Client, isHome: boolean): Promise<Judgement[]> {
  const queues = (
    [
      [RUNNER_TASK_QUEUE, 'workflow', 'runner'],
      [VAULT_TASK_QUEUE, 'activity', 'vault'],
      [PROJECTION_TASK_QUEUE, 'workflow', 'projection'],
    ] as const
  ).filter(([taskQueue]) => isHome || taskQueue !== PROJECTION_TASK_QUEUE);
  // Its clock says when a poll was; ours need not be the same.
  const { aheadMs } = await serverClock(client);
  return Promise.all(
    queues.map(async ([taskQueue, type, worker]) => {
      const polls = await pollsOf(client, { taskQueue, type, deadlineMs: CALL_WITHIN_MS });
      const lastMs = Math.max(0, ...polls.map(({ atMs }) => atMs));
      const polled = Date.now() + aheadMs - lastMs < POLLED_WITHIN_MS;
      return {
        about: taskQueue,
        ...(polled
          ? ok(`polled by a ${worker} worker`)
          : fault(
              'nobody has polled it for 90 s',
              `start a worker (bin/yarn start:worker ${worker}) with this namespace`,
            )),
      };
    }),
  );
}

async function systemWork(client: Client): Promise<Judgement[]> {
  const found = await systemWorkAt(client);
  return found.map(({ id, state }) => ({
    about: id,
    ...(state === 'there'
      ? ok('there, and not paused')
      : state === 'paused'
        ? warning('paused', 'unpause it in the Temporal UI unless that is meant')
        : fault('missing', 'restart a worker of that kind: it makes it anew')),
  }));
}

async function codecKeys(client: Client, { codecKeys: ours }: TemporalCommandConfig): Promise<Judgement[]> {
  const ids = [...ours.keys.keys()];
  const inUse = await codecKeysInUse(client, SCHEDULES_LOOKED_AT);
  const judgements = await Promise.all(
    inUse.map(async ({ keyId, schedules, scheduleId }): Promise<Judgement | null> => {
      if (keyId !== null && !ids.includes(keyId)) {
        return fault(
          `${schedules} schedules are under key ${keyId}, which is not among ours (${ids.join(', ')})`,
          'add that key as the second one, or reconcile to encrypt them anew from their missions',
        );
      }
      if (!(await opensInputOf(client, scheduleId))) {
        return fault(
          `a schedule under key ${keyId ?? 'without a name'} does not open: ${scheduleId}`,
          'TEMPORAL_CODEC_KEYS has another key under that id: give it the one that the workers have',
        );
      }
      if (keyId === ours.primaryKeyId) return null;
      return warning(
        `${schedules} schedules are under ${keyId ?? 'a key that was not noted'}, not under ${ours.primaryKeyId}, the first`,
        'bin/yarn missions reconcile (docs/operations.md, Rotating codec keys)',
      );
    }),
  );
  const found = judgements.filter((judgement) => judgement !== null);
  return found.length > 0 ? found : [ok(`${ids.join(', ')}; every schedule is under ${ours.primaryKeyId}`)];
}

/** Of a namespace to which no user belongs (any more). */
async function whatIsLeft(client: Client): Promise<Judgement> {
  const { namespace } = client.options;
  const query = `WorkflowType = '${MISSION_RUN_WORKFLOW_TYPE}' AND ExecutionStatus = 'Running'`;
  const { count } = await withCallDeadline(
    client.connection,
    () => client.workflowService.countWorkflowExecutions({ namespace, query }),
    CALL_WITHIN_MS,
  );
  const inUse = await codecKeysInUse(client, SCHEDULES_LOOKED_AT);
  const schedules = inUse.reduce((sum, each) => sum + each.schedules, 0);
  const found = `${schedules} schedules and ${count.toString()} open runs are left`;
  return schedules === 0 && Number(count) === 0
    ? ok(`${found}: ended runs go with its retention`)
    : warning(found, 'bin/yarn missions reconcile moves schedules; open runs end there');
}

async function clock(client: Client): Promise<Judgement> {
  const { aheadMs, errorMs } = await serverClock(client);
  return judgeClock(aheadMs, errorMs);
}

async function timeZones(client: Client): Promise<Judgement> {
  const follows = createServerZones(client);
  const answers = await Promise.all(ZONES.map(async (zone) => ({ zone, agree: await follows(zone) })));
  const apart = answers.filter(({ agree }) => !agree).map(({ zone }) => zone);
  return apart.length === 0
    ? ok(
        `Node (tz ${process.versions['tz'] ?? 'unknown'}) and the server agree on ${ZONES.join(', ')} for 400 days`,
      )
    : warning(
        `Node (tz ${process.versions['tz'] ?? 'unknown'}) and the server differ on ${apart.join(', ')}`,
        'update the older of the two; until then missions there have their next 16 instants sent one by one',
      );
}
