import { randomBytes, randomUUID } from 'node:crypto';
import type { Client } from '@temporalio/client';
import proto from '@temporalio/proto';
import { writePlaintextMissionOf, type WrittenMission } from './granted-mission.ts';
import { SERVICE_KEY, type MissionSystem } from './mission-system.ts';
import { historyPlace, tablesPlace, temporalDatabasePlaces, type Place } from '#dev/leak-search.ts';
import { agentAt, missionAt, noteAt, type Location, type WebAppUser } from '#dev/web-app.ts';
import { formatInstant } from '#domain/base/instant.ts';
import { exposeMetrics } from '#metrics/registry.ts';

/** Stands nowhere else; its name says what leaked when a test fails. */
export const mark = (name: string): string => `CANARY-${name}-${randomBytes(8).toString('hex')}`;

const journalAt = (id: string): Location => ({ appId: 'journal', table: 'journalEntries', id });

export interface CanaryMission extends WrittenMission {
  /** Reaches the gateway, which knows by it what to answer. */
  readonly objective: string;
  readonly token: string;
}

/** Collects what must not be found, by name. */
export interface Needles {
  add(name: string): string;
  secret(name: string, value: string | Buffer): void;
  readonly names: readonly string[];
  readonly values: readonly (string | Buffer)[];
}

export function createNeedles(): Needles {
  const needles = new Map<string, string | Buffer>();
  return {
    add: (name) => {
      const text = mark(name);
      needles.set(text, text);
      return text;
    },
    secret: (name, value) => void needles.set(`${name} ${randomUUID()}`, value),
    get names() {
      return [...needles.keys()];
    },
    get values() {
      return [...needles.values()];
    },
  };
}

/** The secrets of every part, and of the user. */
export function addSecrets(needles: Needles, { keys }: MissionSystem): void {
  needles.secret('KEK', keys.kek);
  for (const key of keys.codecKeys.keys.values()) needles.secret('codec key', key);
  needles.secret('service key', SERVICE_KEY);
  const der = keys.privateKey.export({ type: 'pkcs8', format: 'der' });
  // One line of the PEM text.
  needles.secret('RSA private key', der.subarray(288, 336));
}

/** Whose title, objective, concept, note, journal, agent and feedback are all marked, and all but the last encrypted. */
export async function writeCanaryMission(
  system: MissionSystem,
  needles: Needles,
  label: string,
): Promise<CanaryMission> {
  const { webApp } = system;
  const user = await webApp.createUser();
  needles.secret('master key', user.masterKey);
  const [missionId, noteId, journalId, agentId] = [randomUUID(), randomUUID(), randomUUID(), randomUUID()];
  const encrypted = (name: string): string => user.encrypt(needles.add(`${label}-${name}`));
  await webApp.insert(user, noteAt(noteId), { title: encrypted('note-title'), content: encrypted('note') });
  await webApp.insert(user, journalAt(journalId), {
    title: encrypted('journal-title'),
    content: encrypted('journal'),
  });
  await webApp.insert(user, agentAt(agentId), {
    name: needles.add(`${label}-agent-name`),
    role: needles.add(`${label}-agent-role`),
    systemPrompt: encrypted('system-prompt'),
    memory: encrypted('memory'),
    policy: { tools: {}, defaultForAi: 'propose' },
    maxConcurrentMissions: 5,
    state: 'active',
  });
  const token = await system.issuer.issueToken({ sub: user.userId });
  needles.secret('JWT', token);
  const grant = await requestGrant(system, token, {
    missionId,
    tables: ['notes', 'journalEntries'],
    recordIds: [`notes:${noteId}`, `journalEntries:${journalId}`],
  });
  const objective = needles.add(`${label}-objective`);
  await webApp.insert(user, missionAt(missionId), {
    title: encrypted('title'),
    objective: user.encrypt(objective),
    conceptMarkdown: encrypted('concept'),
    state: 'active',
    cadence: { kind: 'interval', everyMinutes: 60 },
    nextRunAt: formatInstant(Date.now() + 3_600_000),
    inputs: [
      { module: 'notes', table: 'notes', id: noteId },
      { module: 'journal', table: 'journalEntries', id: journalId },
    ],
    iterations: [iterationWith(needles.add(`${label}-feedback`), needles.add(`${label}-earlier-step`))],
    agentId,
    grant,
  });
  return { user, missionId, objective, token };
}

const iterationWith = (userFeedback: string, step: string) => ({
  id: randomUUID(),
  startedAt: '2026-01-01T00:00:00.000Z',
  finishedAt: '2026-01-01T00:00:01.000Z',
  summary: step,
  userFeedback,
  plan: [{ id: 's1', summary: step, intent: { kind: 'note', body: step }, status: 'rejected' }],
  overallStatus: 'rejected',
  source: 'browser',
});

/** A mission in clear text without a grant: in the change log it may stand, nowhere else. */
export async function writePlaintextCanary(
  system: MissionSystem,
  needles: Needles,
  label: string,
): Promise<CanaryMission> {
  const user: WebAppUser = await system.webApp.createUser();
  const objective = needles.add(`${label}-objective`);
  const missionId = await writePlaintextMissionOf(system.webApp, user, objective, {
    title: needles.add(`${label}-title`),
    conceptMarkdown: needles.add(`${label}-concept`),
  });
  return { user, missionId, objective, token: '' };
}

async function requestGrant(
  system: MissionSystem,
  token: string,
  payload: Readonly<Record<string, unknown>>,
): Promise<unknown> {
  const response = await system.api.inject({
    method: 'POST',
    url: '/api/v1/me/ai-mission-grant',
    headers: { authorization: `Bearer ${token}` },
    payload,
  });
  if (response.statusCode !== 200) throw new Error(`grant request: found status ${response.statusCode}`);
  return response.json();
}

/** All that must hold no mark. */
export async function searchedPlaces(
  system: MissionSystem,
  files: { readonly temporalDatabase: string; readonly logs: readonly Place[] },
): Promise<Place[]> {
  const { databases, client } = system;
  const { syncUrl, authUrl } = databases.superuser;
  const ours = `schemaname not in ('pg_catalog', 'information_schema') and tablename <> 'sync_changes'`;
  const { body: metrics } = await exposeMetrics();
  return [
    await historyPlace(client),
    ...(await visibilityPlaces(client, system.namespace)),
    ...temporalDatabasePlaces(files.temporalDatabase),
    { name: 'log lines', content: Buffer.from(system.logLines.join('')) },
    ...files.logs,
    { name: 'metrics', content: Buffer.from(metrics) },
    await tablesPlace('tables of mana_sync', syncUrl, ours),
    await tablesPlace('tables of mana_platform', authUrl, ours),
  ];
}

/** Lists and descriptions of runs and schedules in the server's encoding: memo, search attributes, failures, actions. */
async function visibilityPlaces(client: Client, namespace: string): Promise<Place[]> {
  const { ListWorkflowExecutionsResponse, DescribeWorkflowExecutionResponse } =
    proto.temporal.api.workflowservice.v1;
  const { ListSchedulesResponse, DescribeScheduleResponse } = proto.temporal.api.workflowservice.v1;
  const { workflowService } = client;
  const runs = await workflowService.listWorkflowExecutions({ namespace, pageSize: 1000 });
  const descriptions = await Promise.all(
    runs.executions.map(({ execution }) =>
      workflowService.describeWorkflowExecution({ namespace, ...(execution && { execution }) }),
    ),
  );
  const schedules = await workflowService.listSchedules({ namespace, maximumPageSize: 1000 });
  const scheduleDescriptions = await Promise.all(
    schedules.schedules.map(({ scheduleId }) =>
      workflowService.describeSchedule({ namespace, ...(scheduleId && { scheduleId }) }),
    ),
  );
  return [
    {
      name: 'visibility',
      content: Buffer.concat([
        ListWorkflowExecutionsResponse.encode(runs).finish(),
        ListSchedulesResponse.encode(schedules).finish(),
      ]),
    },
    {
      name: 'descriptions',
      content: Buffer.concat([
        ...descriptions.map((each) => DescribeWorkflowExecutionResponse.encode(each).finish()),
        ...scheduleDescriptions.map((each) => DescribeScheduleResponse.encode(each).finish()),
      ]),
    },
  ];
}
