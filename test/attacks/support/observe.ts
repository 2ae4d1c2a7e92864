import type { Target, Attacked } from './hostile-world.ts';
import type { HostileSystem, NamedProcess } from './hostile-system.ts';
import type { MissionSeen, Observation, OpenedRecord, ProcessSeen } from './invariants.ts';
import { eventIdOf } from '#crypto/derived-ids.ts';
import { findLeaks, tablesPlace, type Place } from '#dev/leak-search.ts';
import { missionAt } from '#dev/web-app.ts';
import { toIterationId } from '#domain/base/ids.ts';
import { formatInstant } from '#domain/base/instant.ts';
import { RUNNER_CLIENT_ID } from '#domain/wire/rows.ts';
import type { FailureCode } from '#domain/wire/iteration.ts';
import { MISSION_SEARCH_ATTRIBUTES } from '#temporal/search-attributes.ts';
import { MISSION_RUN_WORKFLOW_TYPE } from '#temporal/messages.ts';
import { runAuditScript } from '#test/support/operator-commands.ts';
import { SERVICE_KEY } from '#test/support/mission-system.ts';
import { countRows, query } from '#test/support/inspect.ts';
import { lossesIn } from '#test/support/iteration-losses.ts';
import { NOTHING_LEFT } from '#test/support/stored-rows.ts';
import { waitUntil } from '#test/support/wait-until.ts';

/** Replies that are no replies, and ends of backends, lengthen the pause before a round is tried again: up to five minutes. */
const REST_WITHIN_MS = 300_000;
const EMPTY_AT_REST = [...Object.keys(NOTHING_LEFT), 'budget_reservations'];

/** Waits until nothing is under way any more, or as long as that may take, and looks at everything. */
export async function observe(
  hostile: HostileSystem,
  { targets, victims }: Attacked,
  restWithinMs = REST_WITHIN_MS,
): Promise<Observation> {
  await waitUntil('all is at rest', () => isAtRest(hostile, targets), {
    ...{ deadlineMs: restWithinMs, everyMs: 250 },
    // What is not at rest is seen in what is left.
  }).catch(() => undefined);
  const runs = await runsOfMissions(hostile);
  return {
    processes: await Promise.all(hostile.processes.map((running) => lookAt(hostile, running))),
    victims,
    missions: await Promise.all(
      targets.map((target) => missionSeen(hostile, target, runs.get(target.missionId) ?? NO_RUNS)),
    ),
    asked: hostile.asked,
    opened: await openedRecords(hostile, targets),
    auditProblems: await auditProblems(hostile),
    leaks: await leaksOf(hostile, targets),
    leftovers: await leftovers(hostile),
    openRuns: await openRuns(hostile),
  };
}

const OPEN_RUNS = `WorkflowType = '${MISSION_RUN_WORKFLOW_TYPE}' and ExecutionStatus = 'Running'`;

/** What each run that is still open waits for, as an operator sees it. */
async function openRuns({ system: { client } }: HostileSystem): Promise<string[]> {
  const found: string[] = [];
  for await (const { workflowId, runId } of client.workflow.list({ query: OPEN_RUNS })) {
    const { raw, historyLength } = await client.workflow.getHandle(workflowId, runId).describe();
    const waits = (raw.pendingActivities ?? []).map(({ activityType, state, attempt, ...of }) =>
      [
        `${activityType?.name ?? ''} (state ${state ?? ''}, attempt ${attempt ?? ''})`,
        `begun ${formatTime(of.lastStartedTime)}, next ${formatTime(of.nextAttemptScheduleTime)}`,
        `failed as ${of.lastFailure?.applicationFailureInfo?.type ?? of.lastFailure?.source ?? 'nothing'}`,
      ].join(', '),
    );
    const task = raw.pendingWorkflowTask;
    if (task) waits.push(`a workflow task (state ${task.state ?? ''}, attempt ${task.attempt ?? ''})`);
    found.push(`${workflowId}, event ${historyLength}: ${waits.join('; ') || 'nothing pending'}`);
  }
  return found;
}

const formatTime = (time: { readonly seconds?: unknown } | null | undefined): string =>
  time ? formatInstant(Number(time.seconds) * 1_000) : 'never';

async function leftovers({ system }: HostileSystem): Promise<Record<string, number>> {
  const counts = EMPTY_AT_REST.map(async (table): Promise<[string, number]> => [
    table,
    await countRows(system.databases.superuser.syncUrl, `mana_ai.${table}`, 'true'),
  ]);
  return Object.fromEntries(await Promise.all(counts));
}

async function isAtRest(hostile: HostileSystem, targets: readonly Target[]): Promise<boolean> {
  const { client, databases } = hostile.system;
  const { count: open } = await client.workflow.count(OPEN_RUNS);
  const waiting = await countRows(
    databases.superuser.syncUrl,
    'mana_ai.mission_snapshots',
    'version <> applied_version',
  );
  const left = Object.values(await leftovers(hostile)).reduce((sum, count) => sum + count, 0);
  if (open + waiting + left > 0) return false;
  const runs = await runsOfMissions(hostile);
  for (const target of targets.filter(({ dueCount }) => dueCount !== null)) {
    const { iterations, losses } = await missionSeen(hostile, target, runs.get(target.missionId) ?? NO_RUNS);
    if (iterations.length < (target.dueCount ?? 0) || losses.length > 0) return false;
  }
  return true;
}

interface RunsOfMission {
  readonly withIteration: number;
  readonly cutShort: number;
}
const NO_RUNS: RunsOfMission = { withIteration: 0, cutShort: 0 };
const CUT_SHORT: readonly string[] = ['cancelled', 'paused', 'deleted', 'agent-busy'];

/** By mission, as the server knows it: of runs that say of themselves what they wrote. */
async function runsOfMissions({ system }: HostileSystem): Promise<Map<string, RunsOfMission>> {
  const counts = new Map<string, RunsOfMission>();
  for await (const run of system.client.workflow.list({
    query: `WorkflowType = '${MISSION_RUN_WORKFLOW_TYPE}'`,
  })) {
    const outcome = run.typedSearchAttributes.get(MISSION_SEARCH_ATTRIBUTES.outcome) ?? '';
    const missionId = run.typedSearchAttributes.get(MISSION_SEARCH_ATTRIBUTES.missionId);
    if (missionId === undefined) continue;
    const { withIteration, cutShort } = counts.get(missionId) ?? NO_RUNS;
    counts.set(missionId, {
      withIteration: withIteration + (['planned', 'empty-plan', 'failed'].includes(outcome) ? 1 : 0),
      cutShort: cutShort + (CUT_SHORT.includes(outcome) ? 1 : 0),
    });
  }
  return counts;
}

async function missionSeen(
  hostile: HostileSystem,
  target: Target,
  runs: RunsOfMission,
): Promise<MissionSeen> {
  const { missionId, user, dueCount, isInjected } = target;
  const rows = await hostile.system.webApp.rows(user, missionAt(missionId));
  // Whoever writes rows may name our client id in them, but not choose the ids of rows.
  const iterations = rows
    .filter(({ clientId }) => clientId === RUNNER_CLIENT_ID)
    .flatMap(({ id, data }) =>
      objectsIn((data as { iterations?: unknown } | null)?.iterations).filter(
        (iteration) =>
          typeof iteration['id'] === 'string' && eventIdOf(toIterationId(iteration['id'])) === id,
      ),
    );
  const written = iterations.map((iteration) => ({
    id: String(iteration['id']),
    failure: ((iteration['errorDetails'] as { name?: FailureCode } | undefined)?.name ??
      null) satisfies FailureCode | null,
  }));
  return {
    ...{ missionId, dueCount, isInjected, iterations },
    ...{ runsWithIteration: runs.withIteration, runsCutShort: runs.cutShort },
    // What a device wrote that holds to nothing can be lost in ways that no promise speaks of.
    losses: dueCount === null ? [] : lossesIn(rows, written),
  };
}

const objectsIn = (value: unknown): Record<string, unknown>[] =>
  Array.isArray(value)
    ? value.filter((item): item is Record<string, unknown> => typeof item === 'object' && item !== null)
    : [];

async function lookAt({ ended }: HostileSystem, running: NamedProcess): Promise<ProcessSeen> {
  const port = /"healthPort":(\d+)/.exec(running.output())?.[1] ?? '';
  const ask = async (): Promise<number> => {
    const startedAt = performance.now();
    const url = `http://127.0.0.1:${port}/health`;
    const { status } = await fetch(url, { signal: AbortSignal.timeout(1_000) });
    return status === 200 ? Math.ceil(performance.now() - startedAt) : 0;
  };
  // A process that is well answers the next time, however its machine paused.
  const healthMs = await waitUntil('it is well', ask, { deadlineMs: 3_000 }).catch(() => null);
  return { name: running.name, hasEnded: ended.has(running), healthMs };
}

async function openedRecords(hostile: HostileSystem, targets: readonly Target[]): Promise<OpenedRecord[]> {
  const opened: OpenedRecord[] = [];
  for (const { user, missionId, noteId, secrets } of targets) {
    for (const [table, recordId, secret] of [
      ['notes', noteId, secrets[0]],
      ['aiMissions', missionId, secrets[1]],
    ] as const) {
      if (secret === undefined) continue;
      const first = hostile.asked.find(({ body }) => body.includes(secret));
      if (first === undefined) continue;
      const [row] = await query(
        hostile.system.databases.superuser.syncUrl,
        `select extract(epoch from min(ts)) * 1000 as at from mana_ai.decrypt_audit
          where user_id = $1 and mission_id = $2 and table_name = $3 and record_id = $4 and status = 'ok'`,
        [user.userId, missionId, table, recordId],
      );
      const at = row?.['at'] ?? null;
      opened.push({
        ...{ recordId: `${table}:${recordId ?? ''}`, seenAtMs: first.askedAtMs },
        auditedAtMs: at === null ? null : Number(at),
      });
    }
  }
  return opened;
}

async function auditProblems({ system }: HostileSystem): Promise<string[]> {
  const { code, lines } = await runAuditScript('verify', {
    MAINTENANCE_DATABASE_URL: system.databases.urls.maintenance.sync,
  });
  const problems = lines
    .filter(({ event }) => event === 'audit-problem')
    .map((line) => String(line['problem']));
  return code === 0 || problems.length > 0 ? problems : [`audit:verify ended with ${code}`];
}

/** Metrics as whoever scrapes them gets them; the API's are for those who have a key. */
const metricsOf = (hostile: HostileSystem): Promise<Place[]> =>
  Promise.all(
    hostile.processes.map(async (running) => {
      const response = await fetch(`${running.url()}/metrics`, {
        headers: { 'x-service-key': SERVICE_KEY, 'x-api-key': SERVICE_KEY },
        signal: AbortSignal.timeout(10_000),
      });
      return { name: `metrics of ${running.name}`, content: Buffer.from(await response.text()) };
    }),
  );

async function leaksOf(hostile: HostileSystem, targets: readonly Target[]): Promise<string[]> {
  const { keys, databases } = hostile.system;
  const secrets: [string, string | Buffer][] = [
    ...targets.flatMap(({ name, secrets: texts }) =>
      texts.map((text): [string, string] => [`text of ${name}`, text]),
    ),
    ...targets.map(({ name, user }): [string, Buffer] => [`master key of ${name}`, user.masterKey]),
    ['KEK', keys.kek],
    ...[...keys.codecKeys.keys.values()].map((key): [string, Buffer] => ['codec key', key]),
    ['service key', SERVICE_KEY],
    ['private key', keys.privateKey.export({ type: 'pkcs8', format: 'der' }).subarray(288, 336)],
  ];
  const places = [
    ...hostile.writtenDown(),
    ...(await metricsOf(hostile)),
    await tablesPlace('tables', databases.superuser.syncUrl, `schemaname = 'mana_ai'`),
  ];
  const leaks = findLeaks(
    places,
    secrets.map(([, value]) => value),
  );
  return leaks.flatMap(({ where, found }) => found.map((index) => `${where}: ${secrets[index]?.[0] ?? ''}`));
}
