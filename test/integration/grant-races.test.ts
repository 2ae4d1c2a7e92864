import { type MissionId, toMissionId, toWorkflowRunId } from '#domain/base/ids.ts';
import { randomUUID } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunnerDependencies } from '#activities/runner/dependencies.ts';
import { loadRun } from '#activities/runner/load-run.ts';
import { planOneRound } from '#activities/runner/round/one-round.ts';
import { writeIteration } from '#activities/runner/write-iteration.ts';
import { sealInputs } from '#activities/vault/seal-inputs.ts';
import { buildApp } from '#api/app.ts';
import { openDatabase, type Database } from '#db/client.ts';
import { startJwksIssuer, type JwksIssuer } from '#dev/jwks-issuer.ts';
import { modelGateway } from '#dev/scripted-model.ts';
import { missionAt, noteAt, type WebAppUser } from '#dev/web-app.ts';
import { GrantUnusableError } from '#domain/base/errors.ts';
import { formatInstant } from '#domain/base/instant.ts';
import type { PlannerReply } from '#domain/planner/model/planner-reply.ts';
import type { IterationResult, RunRef, SealResult, WriteIterationResult } from '#domain/run/run.ts';
import { createLogger } from '#logging/logger.ts';
import { holdMission } from '#test/support/held-lock.ts';
import {
  createActivityHarness,
  holdSlot,
  type ActivityHarness,
} from '#test/support/activity-dependencies.ts';
import { revoke, show } from '#test/support/granting-api.ts';
import { countRows, query } from '#test/support/inspect.ts';
import { waitUntil } from '#test/support/wait-until.ts';

/** How often each race is run; each time its parts start at other moments. */
const RACES = 60;
const MISSION_TITLE = 'MISSION-TITLE';
const NOTE_CONTENT = 'NOTE-CONTENT';

let harness: ActivityHarness;
let issuer: JwksIssuer;
let authDatabase: Database;
let app: FastifyInstance;
beforeAll(async () => {
  harness = await createActivityHarness('grant-races-test');
  issuer = await startJwksIssuer();
  authDatabase = openDatabase({
    url: harness.databases.urls.api.auth,
    applicationName: 'grant-races-test',
    maxConnections: 1,
  });
  app = await buildApp({
    syncDatabase: harness.api,
    authDatabase,
    identity: { jwksUrl: `${issuer.url}/api/v1/auth/jwks`, issuer: issuer.url, audience: 'mana' },
    keks: { default: null, byId: new Map() },
    grantPublicKey: null,
    grantMintVersion: 'v2',
    corsOrigins: [],
    trustedProxies: [],
    logger: createLogger('api', 'silent'),
    rateLimits: { perAddress: 1e6, perUser: 1e6, mintsPerUser: 1e6 },
  });
});
afterAll(async () => {
  await app.close();
  await authDatabase.close();
  await issuer.close();
  await harness.close();
});

interface Story {
  readonly user: WebAppUser;
  readonly missionId: MissionId;
  readonly run: RunRef;
  readonly token: string;
}

/** A due mission with an encrypted note and a grant for it, claimed by a run. */
async function story(): Promise<Story> {
  const user = await harness.webApp.createUser();
  const [missionId, noteId] = [toMissionId(randomUUID()), randomUUID()];
  await harness.webApp.insert(user, noteAt(noteId), { title: 'x', content: user.encrypt(NOTE_CONTENT) });
  const grant = await harness.grantFor(user, missionId, [`notes:${noteId}`]);
  await harness.webApp.insert(user, missionAt(missionId), {
    title: user.encrypt(MISSION_TITLE),
    state: 'active',
    cadence: { kind: 'interval', everyMinutes: 30 },
    nextRunAt: formatInstant(Date.now() - 1000),
    inputs: [{ module: 'notes', table: 'notes', id: noteId }],
    iterations: [],
    grant,
  });
  const runId = toWorkflowRunId(randomUUID());
  const loaded = await loadRun(harness.runner, {
    ...{ userId: user.userId, missionId, trigger: 'projection', workflowId: `w-${runId}`, runId },
    ...{ startedAtMs: Date.now(), scheduledAtMs: null },
  });
  if (loaded.outcome !== 'ready') throw new Error(loaded.outcome);
  return {
    user,
    missionId,
    run: { userId: user.userId, missionId, iterationId: loaded.iterationId, runId },
    token: await issuer.issueToken({ sub: user.userId }),
  };
}

const seal = ({ run }: Story): Promise<SealResult> => sealInputs(harness.vault, run);
const revokeGrant = async ({ token, missionId }: Story): Promise<void> => {
  expect((await revoke(app, token, missionId)).statusCode).toBe(204);
};
const sealedRows = ({ missionId }: Story): Promise<number> =>
  countRows(harness.databases.superuser.syncUrl, 'mana_ai.sealed_inputs', 'mission_id = $1', [missionId]);

const reply = (toolCalls: PlannerReply['toolCalls']): PlannerReply => ({
  content: toolCalls.length === 0 ? 'Fertig.' : null,
  toolCalls,
  finishReason: toolCalls.length === 0 ? 'stop' : 'tool_calls',
  ...{ totalTokens: 0, promptTokens: 0, completionTokens: 0, resolvedModel: null },
});
const task = { id: 'c', name: 'create_task', arguments: { title: 'eins' } };

/** A runner whose gateway keeps the prompts that it gets. */
function runnerWith(prompts: string[]): RunnerDependencies {
  return {
    ...harness.runner,
    gateway: modelGateway(async ({ messages }) => {
      prompts.push(JSON.stringify(messages));
      await nextTurn();
      return reply(messages.some(({ role }) => role === 'tool') ? [] : [task]);
    }),
  };
}
const round = (deps: RunnerDependencies, { run }: Story, number: number) =>
  planOneRound(
    deps,
    { ...run, round: number, agentId: null, grantUsable: true },
    new AbortController().signal,
  );

/** What the workflow does: rounds until the plan is finished or the grant is gone. */
async function planAll(deps: RunnerDependencies, told: Story): Promise<IterationResult> {
  try {
    for (let number = 1; ; number += 1) {
      if ((await round(deps, told, number)).status !== 'continue') return { kind: 'planned' };
    }
  } catch (error) {
    if (!(error instanceof GrantUnusableError)) throw error;
    return { kind: 'failed', failure: { code: `grant-${error.problem}`, phase: 'calling-llm' } };
  }
}
const write = ({ run }: Story, result: IterationResult): Promise<WriteIterationResult> =>
  writeIteration(harness.runner, { ...run, startedAtMs: Date.now(), grantUsable: true, result });

/** Lets the event loop turn so often: how one part of a race gets a head start over the other. */
const after = async <T>(turns: number, work: () => Promise<T>): Promise<T> => {
  for (let turn = 0; turn < turns; turn += 1) await nextTurn();
  return work();
};
/** Head starts from none to more than a whole transaction of the other part takes. */
const headStart = (race: number): number => (race * 7) % 41;

/** Every fifth race is none: one part after the other, so that both ends are among them on any machine. */
async function against<A, B>(race: number, a: () => Promise<A>, b: () => Promise<B>): Promise<[A, B]> {
  if (race % 10 === 0) {
    const first = await a();
    return [first, await b()];
  }
  if (race % 10 === 5) {
    const first = await b();
    return [await a(), first];
  }
  return Promise.all([after(headStart(race), a), after(headStart(race + 3), b)]);
}

const races = async (work: (race: number) => Promise<void>): Promise<void> => {
  for (let race = 0; race < RACES; race += 1) await work(race);
};

const iterationsOf = async ({ user, missionId }: Story): Promise<Record<string, unknown>[]> =>
  ((await harness.webApp.read(user, missionAt(missionId)))?.record['iterations'] ?? []) as Record<
    string,
    unknown
  >[];

describe('seal against revoke', () => {
  it('leaves nothing sealed, whoever comes first, and nothing can be sealed afterwards', async () => {
    await races(async (race) => {
      const told = await story();
      const [sealed] = await against(
        race,
        () => seal(told),
        () => revokeGrant(told),
      );
      expect([null, 'revoked']).toContain(sealed.problem);
      expect(await sealedRows(told)).toBe(0);
      const next = { ...told, run: { ...told.run, runId: toWorkflowRunId(randomUUID()) } };
      await holdSlot(harness.runner.database, next.run);
      expect((await seal(next)).problem).toBe('revoked');
      expect(await sealedRows(told)).toBe(0);
    });
  });

  it.each(['seal', 'revoke'] as const)('in this order, by the mission’s lock: %s first', async (first) => {
    const told = await story();
    const waiting = async (count: number): Promise<void> => {
      await waitUntil(`${count} wait for the lock`, async () => {
        const rows = await query(
          harness.databases.superuser.syncUrl,
          `select 1 from pg_catalog.pg_locks where locktype = 'advisory' and not granted
             and database = (select oid from pg_catalog.pg_database where datname = current_database())`,
        );
        return rows.length === count;
      });
    };
    const locked = Promise.withResolvers<undefined>();
    const release = Promise.withResolvers<undefined>();
    const holding = harness.runner.database.asUser(told.user.userId, async (tx) => {
      await holdMission(tx, toMissionId(told.missionId));
      locked.resolve(undefined);
      await release.promise;
    });
    await locked.promise;
    let sealing: Promise<SealResult>;
    let revoking: Promise<void>;
    if (first === 'seal') {
      sealing = seal(told);
      await waiting(1);
      revoking = revokeGrant(told);
    } else {
      revoking = revokeGrant(told);
      await waiting(1);
      sealing = seal(told);
    }
    await waiting(2);
    release.resolve(undefined);
    const [sealed] = await Promise.all([sealing, revoking, holding]);
    expect(sealed.problem).toBe(first === 'seal' ? null : 'revoked');
    expect(await sealedRows(told)).toBe(0);
  });
});

describe('a planner round against revoke', () => {
  it('opens everything that was granted or nothing at all, and nothing once the revoke has returned', async () => {
    const opened = { all: 0, none: 0 };
    await races(async (race) => {
      const told = await story();
      expect((await seal(told)).problem).toBeNull();
      const prompts: string[] = [];
      const deps = runnerWith(prompts);
      await against(
        race,
        () =>
          round(deps, told, 1).catch((error: unknown) => {
            expect(error).toBeInstanceOf(GrantUnusableError);
            expect(error).toMatchObject({ problem: 'revoked' });
          }),
        () => revokeGrant(told),
      );
      const [prompt] = prompts;
      if (prompt === undefined) opened.none += 1;
      else {
        opened.all += 1;
        expect(prompt).toContain(MISSION_TITLE);
        expect(prompt).toContain(NOTE_CONTENT);
      }
      const asked = prompts.length;
      for (const number of [1, 2]) {
        await expect(round(deps, told, number)).rejects.toThrow(GrantUnusableError);
      }
      expect(prompts).toHaveLength(asked);
    });
    // Otherwise the parts never met.
    expect(opened.all).toBeGreaterThan(0);
    expect(opened.none).toBeGreaterThan(0);
  });
});

describe('seal, rounds, write-back and revoke at once', () => {
  it('end in exactly one iteration: the plan, or the failure that says that the grant was revoked', async () => {
    const outcomes = new Map<string, number>();
    await races(async (race) => {
      const told = await story();
      const prompts: string[] = [];
      const deps = runnerWith(prompts);
      await seal(told);
      const planned = Promise.withResolvers<undefined>();
      const written = Promise.withResolvers<undefined>();
      /** How far the run is when the revoke starts: at once, in round 1 or 2, before or after the write-back. */
      const starts = [
        () => Promise.resolve(),
        () => waitUntil('round 1', () => prompts.length >= 1, { everyMs: 1 }),
        () => waitUntil('round 2', () => prompts.length >= 2, { everyMs: 1 }),
        () => planned.promise,
        () => written.promise,
      ];
      const revokeLater = async (): Promise<void> => {
        // A run that was stopped before has no round 2.
        await Promise.race([starts[race % starts.length]?.(), written.promise]);
        await after(headStart(race), () => revokeGrant(told));
      };
      const planAndWrite = async (): Promise<WriteIterationResult[]> => {
        const result = await planAll(deps, told);
        planned.resolve(undefined);
        // An attempt whose answer was lost, and its retry.
        const attempts = [write(told, result), after(headStart(race) % 5, () => write(told, result))];
        const results = await Promise.all(attempts);
        written.resolve(undefined);
        return results;
      };
      const [results] = await Promise.all([
        planAndWrite(),
        revokeLater(),
        // A retried seal of the same run.
        after(headStart(race + 1), () => seal(told)),
      ]);
      const iterations = await iterationsOf(told);
      expect(iterations.map(({ id }) => id)).toEqual([told.run.iterationId]);
      const [iteration] = iterations;
      const details = iteration?.['errorDetails'] as { name: string } | undefined;
      const outcome = details?.name ?? 'planned';
      expect(['planned', 'grant-revoked']).toContain(outcome);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      expect(results.map(({ outcome: written }) => written)).toContain(
        outcome === 'planned' ? 'planned' : 'failed',
      );
      const rows = await countRows(
        harness.databases.superuser.syncUrl,
        'public.sync_changes',
        `record_id = $1 and client_id = 'mana-ai-runner'`,
        [told.missionId],
      );
      // The claim, and what came of it.
      expect(rows).toBe(2);
      expect(await sealedRows(told)).toBe(0);
    });
    expect([...outcomes.keys()].sort()).toEqual(['grant-revoked', 'planned']);
  });
});

describe('mint against revoke', () => {
  it('gives a grant that is either revoked or not, and what the API shows is what a run gets', async () => {
    const states = new Map<unknown, number>();
    await races(async (race) => {
      const told = await story();
      const [grant] = await against(
        race,
        () => harness.grantFor(told.user, told.missionId, ['notes:other']),
        () => revokeGrant(told),
      );
      await harness.webApp.update(told.user, missionAt(told.missionId), { grant });
      const { state } = (await show(app, told.token, told.missionId)).json<{ state: string }>();
      states.set(state, (states.get(state) ?? 0) + 1);
      expect((await seal(told)).problem).toBe(state === 'active' ? null : 'revoked');
    });
    expect([...states.keys()].sort()).toEqual(['active', 'revoked']);
  });
});
