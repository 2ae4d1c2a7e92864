import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { EarlierRun, EvalMission, EvalRecord, EvalStep } from './mission.ts';
import type { Exchange, Outcome, WrittenPlan } from './outcome.ts';
import { TIME_ZONE } from './score.ts';
import { withClient } from '#dev/platform-schema.ts';
import type { RecordedRequest } from '#dev/recorded-request.ts';
import { agentAt, missionAt, type WebApp, type WebAppUser } from '#dev/web-app.ts';
import { INPUT_MODULES } from '#domain/wire/input-modules.ts';
import { formatInstant } from '#domain/base/instant.ts';
import { acceptableIterations } from '#domain/iteration/iterations.ts';
import { isOurClaim, type StoredObject } from '#domain/wire/iteration.ts';
import { readReply } from '#llm/reply-schema.ts';

type Fields = Readonly<Record<string, unknown>>;

/** A service that runs: nothing of it is replaced but the model. */
export interface EvalSystem {
  readonly webApp: WebApp;
  readonly superuserUrl: string;
  /** Asks the API for a grant, as the web app does; the response's body. */
  readonly requestGrant: (userId: string, body: Fields) => Promise<unknown>;
  /** What was said to the model and by it, so far. */
  readonly exchanges: Exchanges;
}

export interface EvalOptions {
  /** More are written only when one of them has ended. */
  readonly atOnce: number;
  /** For one mission. */
  readonly deadlineMs: number;
  readonly say: (line: string) => void;
}

const DAY_MS = 24 * 3_600_000;
/** Long enough for the schedule to be there before the instant. */
const DUE_IN_MS = 3_000;
const LOOK_EVERY_MS = 250;

/** Collects exchanges by the mission's title, which stands in every request of its run. */
export class Exchanges {
  readonly #titles: readonly string[];
  readonly #byTitle = new Map<string, Map<string, Exchange>>();

  constructor(missions: readonly EvalMission[]) {
    this.#titles = missions.map(({ title }) => title);
  }

  /** A repeated attempt sends the same bytes, and its answer counts. */
  add({ body, bodyText }: RecordedRequest, replyText: string): void {
    const said = JSON.stringify(body.messages);
    const title = this.#titles.find((each) => said.includes(each));
    const reply = readReply({ bodyText: replyText, resolvedModel: null });
    if (title === undefined || reply === null) return;
    const exchanges = this.#byTitle.get(title) ?? new Map<string, Exchange>();
    exchanges.set(bodyText, { offered: body.tools.map((tool) => tool.function.name), reply });
    this.#byTitle.set(title, exchanges);
  }

  of({ title }: EvalMission): Exchange[] {
    return [...(this.#byTitle.get(title)?.values() ?? [])];
  }
}

/** Writes all missions as their users' web app would, waits for their runs, and reads what became of them. */
export async function runMissions(
  system: EvalSystem,
  missions: readonly EvalMission[],
  options: EvalOptions,
): Promise<Outcome[]> {
  const outcomes = new Map<EvalMission, Outcome>();
  const waiting = [...missions];
  const worker = async (): Promise<void> => {
    for (let mission = waiting.shift(); mission !== undefined; mission = waiting.shift()) {
      const outcome = await runMission(system, mission, options);
      outcomes.set(mission, outcome);
      options.say(`${mission.id}: ${outcome.plan?.status ?? 'no end'}`);
    }
  };
  await Promise.all(Array.from({ length: Math.min(options.atOnce, missions.length) }, worker));
  return missions.flatMap((mission) => outcomes.get(mission) ?? []);
}

/** A user of its own for each: budgets, agents and turns of one say nothing of another. */
async function runMission(system: EvalSystem, mission: EvalMission, options: EvalOptions): Promise<Outcome> {
  const user = await system.webApp.createUser();
  const missionId = randomUUID();
  const earlier = mission.earlier.map(iterationOf);
  await writeMission(system, user, missionId, mission, earlier);
  const plan = await waitForPlan(system.webApp, { user, missionId, earlier }, options.deadlineMs);
  const usage = await usageOf(system.superuserUrl, missionId);
  return { mission, plan, exchanges: system.exchanges.of(mission), ...usage };
}

async function writeMission(
  { webApp, requestGrant }: EvalSystem,
  user: WebAppUser,
  missionId: string,
  mission: EvalMission,
  iterations: readonly Fields[],
): Promise<void> {
  const { title, objective, cadence, records, policy } = mission;
  for (const record of records) await writeRecord(webApp, user, record);
  const agentId = policy === null ? null : randomUUID();
  if (agentId !== null) await webApp.insert(user, agentAt(agentId), { name: 'Mia', state: 'active', policy });
  const isGranted = records.length > 0;
  const tables = [...new Set(records.map(tableOf))];
  const grant = isGranted
    ? await requestGrant(user.userId, {
        ...{ missionId, tables, timeZone: TIME_ZONE },
        recordIds: records.map((record) => `${tableOf(record)}:${record.id}`),
      })
    : null;
  const words = { title, objective, conceptMarkdown: '' };
  await webApp.insert(user, missionAt(missionId), {
    ...(isGranted ? encrypted(user, words) : words),
    ...{ state: 'active', cadence, grant, nextRunAt: formatInstant(Date.now() + DUE_IN_MS) },
    inputs: records.map((record) => ({ module: record.module, table: tableOf(record), id: record.id })),
    iterations,
    ...(agentId === null ? {} : { agentId }),
  });
}

const tableOf = ({ module }: EvalRecord): string => INPUT_MODULES[module]?.table ?? module;

const encrypted = (user: WebAppUser, fields: Fields): Fields =>
  Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, user.encrypt(value)]));

/** What the module lists as encrypted is encrypted; the times of an event stand in a record of their own. */
async function writeRecord(webApp: WebApp, user: WebAppUser, record: EvalRecord): Promise<void> {
  const module = INPUT_MODULES[record.module];
  if (module === undefined) throw new TypeError(`records: found module ${record.module}, which is none`);
  const { appId, table, encryptedFields } = module;
  const fields = Object.fromEntries(
    Object.entries(record.fields).map(([name, value]) => [
      name,
      encryptedFields.includes(name) ? user.encrypt(value) : value,
    ]),
  );
  const { at } = record;
  const timeBlockId = `block-${record.id}`;
  await webApp.insert(
    user,
    { appId, table, id: record.id },
    at === undefined ? fields : { ...fields, timeBlockId },
  );
  if (at === undefined) return;
  const start = new Date(Date.now() + at.inDays * DAY_MS).setUTCHours(at.hour, 0, 0, 0);
  await webApp.insert(
    user,
    { appId: 'timeblocks', table: 'timeBlocks', id: timeBlockId },
    {
      startDate: formatInstant(start),
      endDate: formatInstant(start + at.hours * 3_600_000),
      allDay: false,
    },
  );
}

function iterationOf({ daysAgo, summary, feedback, steps }: EarlierRun): Fields {
  const startedMs = Date.now() - daysAgo * DAY_MS;
  const id = randomUUID();
  return {
    ...{ id, summary, source: 'server', startedAt: formatInstant(startedMs) },
    finishedAt: formatInstant(startedMs + 60_000),
    overallStatus: steps.every(({ status }) => status === 'staged') ? 'awaiting-review' : 'approved',
    plan: steps.map(({ toolName, params, status }, index) => ({
      ...{ id: `${id}-${index + 1}`, summary: `${toolName}: ${String(params['title'])}`, status },
      intent: { kind: 'toolCall', toolName, params },
    })),
    ...(feedback === undefined ? {} : { userFeedback: feedback }),
  };
}

/** As a device sees it. */
async function waitForPlan(
  webApp: WebApp,
  {
    user,
    missionId,
    earlier,
  }: {
    readonly user: WebAppUser;
    readonly missionId: string;
    readonly earlier: readonly Fields[];
  },
  deadlineMs: number,
): Promise<WrittenPlan | null> {
  const known = new Set(earlier.map(({ id }) => id));
  const deadline = Date.now() + deadlineMs;
  while (Date.now() < deadline) {
    const ours = (await iterationsOf(webApp, user, missionId)).find(({ id }) => !known.has(id));
    if (ours !== undefined && !isOurClaim(ours)) return planOf(ours);
    await delay(LOOK_EVERY_MS);
  }
  return null;
}

const iterationsOf = async (webApp: WebApp, user: WebAppUser, missionId: string): Promise<StoredObject[]> =>
  acceptableIterations((await webApp.read(user, missionAt(missionId)))?.record['iterations']);

function planOf({ overallStatus, errorDetails, plan }: StoredObject): WrittenPlan {
  const failure = (errorDetails as { name?: unknown } | undefined)?.name;
  const steps = plan as readonly { readonly intent: EvalStep }[];
  return {
    status: String(overallStatus),
    failure: typeof failure === 'string' ? failure : null,
    steps: steps.map(({ intent: { toolName, params } }) => ({ toolName, params })),
  };
}

const usageOf = (superuserUrl: string, missionId: string): Promise<{ rounds: number; tokens: number }> =>
  withClient(superuserUrl, async (client) => {
    const { rows } = await client.query<{ rounds: number; tokens: number }>(
      `select count(distinct round)::int as rounds, coalesce(sum(total_tokens), 0)::float8 as tokens
        from mana_ai.token_usage where mission_id = $1`,
      [missionId],
    );
    return rows[0] ?? { rounds: 0, tokens: 0 };
  });
