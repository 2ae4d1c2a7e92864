import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { awaitResearch, giveUpResearch, submitResearch } from '#activities/runner/research.ts';
import type { RunnerDependencies } from '#activities/runner/dependencies.ts';
import { sealInputs } from '#activities/vault/seal-inputs.ts';
import type { Database } from '#db/client.ts';
import { missionAt, noteAt } from '#dev/web-app.ts';
import { GrantUnusableError, ResearchPendingError, ResearchUnavailableError } from '#domain/base/errors.ts';
import type { FoundArticle } from '#domain/run/research-note.ts';
import type { ResearchInput, ResearchKind } from '#domain/run/run.ts';
import type { DeepState, DeepSubmission } from '#research/deep.ts';
import type { ResearchServices } from '#research/services.ts';
import type { ShallowAnswer } from '#research/shallow.ts';
import { createActivityHarness, type ActivityHarness } from '#test/support/activity-dependencies.ts';
import { query } from '#test/support/inspect.ts';
import { reply, STORY_MISSION, storiesOf, type Story } from '#test/support/round-stories.ts';

const SECRET = 'ANSWER-THAT-MUST-NOT-STAND-IN-CLEAR';
const ARTICLE: FoundArticle = {
  url: 'https://news.example/1',
  title: 'Balkonpflanzen',
  excerpt: SECRET,
  publishedAt: '2026-05-04',
};
const OFF: ResearchServices = { shallow: null, deep: null };

let harness: ActivityHarness;
beforeAll(async () => {
  harness = await createActivityHarness('research-test');
});
afterAll(() => harness.close());

/** Services that answer as told, and what they were asked. */
interface Scripted {
  readonly services: ResearchServices;
  readonly searches: { readonly query: string; readonly language: string }[];
  readonly submissions: {
    readonly query: string;
    readonly userId: string;
    readonly idempotencyKey: string;
  }[];
  readonly looks: { readonly taskId: string; readonly userId: string }[];
}

function scripted(answers: {
  search?: () => Promise<ShallowAnswer>;
  submit?: () => Promise<DeepSubmission>;
  state?: () => Promise<DeepState>;
}): Scripted {
  const told: Omit<Scripted, 'services'> = { searches: [], submissions: [], looks: [] };
  const { search, submit, state } = answers;
  return {
    ...told,
    services: {
      shallow: {
        search: (request) => {
          told.searches.push(request);
          return search?.() ?? Promise.resolve({ articles: [ARTICLE] });
        },
      },
      deep: {
        submit: (request) => {
          told.submissions.push(request);
          return submit?.() ?? Promise.resolve({ kind: 'submitted', taskId: 'task-1' });
        },
        state: (task) => {
          told.looks.push(task);
          return state?.() ?? Promise.resolve({ kind: 'pending' });
        },
      },
    },
  };
}

const withServices = (research: ResearchServices): RunnerDependencies => ({ ...harness.runner, research });

interface Researching extends Story {
  readonly input: ResearchInput;
  submit(services: ResearchServices): Promise<string>;
  look(services: ResearchServices): Promise<void>;
  giveUp(): Promise<void>;
  task(): Promise<unknown>;
}

const { signal } = new AbortController();

function researching(told: Story, kind: ResearchKind, grantUsable = false): Researching {
  const input: ResearchInput = { ...told.run, kind, agentId: null, grantUsable };
  return {
    ...told,
    input,
    submit: async (services) => (await submitResearch(withServices(services), input, signal)).state,
    look: (services) => awaitResearch(withServices(services), input, signal),
    giveUp: () => giveUpResearch(withServices(OFF), input),
    task: async () => {
      const [row] = await query(
        harness.databases.superuser.syncUrl,
        'select kind, state, task_id from mana_ai.research_tasks where iteration_id = $1',
        [told.run.iterationId],
      );
      return row;
    },
  };
}

/** A mission in plaintext, claimed by a run. */
async function write(
  objective: string,
  kind: ResearchKind,
  services: ResearchServices = OFF,
): Promise<Researching> {
  const user = await harness.webApp.createUser();
  const missionId = randomUUID();
  await harness.webApp.insert(user, missionAt(missionId), {
    ...STORY_MISSION,
    title: 'Balkon',
    objective,
    inputs: [],
  });
  const stories = storiesOf({ ...harness, runner: { ...harness.runner, research: services } });
  const told = await stories.claim(user, missionId, { agentId: null, grantUsable: false });
  return researching(told, kind);
}

const SHALLOW = 'Finde jeden Montag Artikel über Balkonpflanzen';
const DEEP = 'Mache eine umfassende Recherche zu Balkonpflanzen';
const killed = (): Promise<never> => Promise.reject(new Error('the worker was killed'));

describe('the first round', () => {
  it.each<[string, ResearchKind]>([
    [SHALLOW, 'shallow'],
    [DEEP, 'deep'],
  ])('asks for research before the model: %s', async (objective, kind) => {
    const { services } = scripted({});
    const told = await write(objective, kind, services);
    expect(await told.round(1, () => reply())).toEqual({
      ...{ status: 'research-wanted', research: kind, steps: 0, totalTokens: 0 },
    });
    expect(told.requests).toEqual([]);
  });

  it('asks the model at once where the server has research switched off, or the words want none', async () => {
    const off = await write(DEEP, 'deep');
    expect(await off.round(1, () => reply({ content: 'ok' }))).toMatchObject({ status: 'finished' });
    const { services } = scripted({});
    const none = await write('Plane die Woche', 'deep', services);
    expect(await none.round(1, () => reply({ content: 'ok' }))).toMatchObject({ status: 'finished' });
  });

  it('quotes the results as data; they are kept encrypted, and forgotten with the run', async () => {
    const { services, searches } = scripted({});
    const told = await write(SHALLOW, 'shallow', services);
    expect(await told.submit(services)).toBe('done');
    expect(searches).toEqual([{ query: `Balkon: ${SHALLOW}`, language: 'de' }]);
    await told.round(1, () => reply({ content: 'ok' }));
    const [system, user] = told.requests[0]?.messages ?? [];
    const delimiter = /^M[\w ]+: (\w+)\n/.exec(String(user?.content))?.[1] ?? '';
    expect(user?.content).toMatch(
      new RegExp(`<<<${delimiter} research\n[^<]*${SECRET}[^<]*\n${delimiter}>>>`),
    );
    expect(system?.content).not.toContain(SECRET);
    expect((await told.entries())[0]?.knownUrls).toContain('news.example/1');

    const stored = `select entry from mana_ai.run_notes where iteration_id = $1`;
    const [note] = await query(harness.databases.superuser.syncUrl, stored, [told.run.iterationId]);
    expect((note?.['entry'] as Buffer).toString('latin1')).not.toContain(SECRET.slice(0, 8));
    await told.forget();
    expect(await query(harness.databases.superuser.syncUrl, stored, [told.run.iterationId])).toEqual([]);
    expect(await told.task()).toBeUndefined();
  });

  it('says to model and user that research failed, and plans without', async () => {
    const { services } = scripted({ search: () => Promise.resolve({ refusedWith: 422 }) });
    const told = await write(SHALLOW, 'shallow', services);
    await expect(told.submit(services)).rejects.toMatchObject({ code: 'RESEARCH_REJECTED', status: 422 });
    await told.round(1, () => reply({ content: 'ok' }));
    expect(told.requests[0]?.messages[1]?.content).toContain('sie kam nicht zustande');
    expect((await told.entries())[0]?.notices).toEqual([{ kind: 'research-failed', research: 'shallow' }]);
  });
});

describe('shallow research', () => {
  it('may be tried again, until it is given up', async () => {
    const down = scripted({ search: () => Promise.reject(new ResearchUnavailableError(null)) });
    const told = await write(SHALLOW, 'shallow', down.services);
    for (const attempt of [1, 2]) {
      await expect(told.submit(down.services)).rejects.toBeInstanceOf(ResearchUnavailableError);
      expect(down.searches).toHaveLength(attempt);
    }
    expect(await told.round(1, () => reply())).toMatchObject({ status: 'research-wanted' });
    await told.giveUp();
    expect(await told.round(1, () => reply({ content: 'ok' }))).toMatchObject({ status: 'finished' });
  });

  it('that is done is not done again', async () => {
    const { services, searches } = scripted({});
    const told = await write(SHALLOW, 'shallow');
    expect(await told.submit(services)).toBe('done');
    await told.giveUp();
    expect(await told.submit(services)).toBe('done');
    expect(searches).toHaveLength(1);
  });

  it('asks with the words that the grant opens', async () => {
    const user = await harness.webApp.createUser();
    const missionId = randomUUID();
    const grant = await harness.grantFor(user, missionId, [`notes:${randomUUID()}`]);
    const words = { title: user.encrypt('Geheimer Titel'), objective: user.encrypt('Finde Neues') };
    await harness.webApp.insert(user, missionAt(missionId), {
      ...STORY_MISSION,
      ...words,
      inputs: [],
      grant,
    });
    const claimed = await storiesOf(harness).claim(user, missionId, { agentId: null, grantUsable: true });
    await sealInputs(harness.vault, claimed.run);
    const { services, searches } = scripted({});
    expect(await researching(claimed, 'shallow', true).submit(services)).toBe('done');
    expect(searches).toMatchObject([{ query: 'Geheimer Titel: Finde Neues' }]);
  });
});

describe('a deep task', () => {
  it('is announced by a committed row before its request goes out', async () => {
    const seen: unknown[] = [];
    const told = await write(DEEP, 'deep');
    const { services, submissions } = scripted({
      submit: async () => {
        seen.push(await told.task());
        return { kind: 'submitted', taskId: 'task-9' };
      },
    });
    expect(await told.submit(services)).toBe('submitted');
    expect(seen).toEqual([{ kind: 'deep', state: 'submitting', task_id: null }]);
    expect(await told.task()).toEqual({ kind: 'deep', state: 'submitted', task_id: 'task-9' });
    expect(submissions).toMatchObject([{ query: `Balkon: ${DEEP}`, userId: told.user.userId }]);
    expect(submissions[0]?.idempotencyKey).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('whose worker dies after that row, or once the service has it, is never submitted again', async () => {
    const told = await write(DEEP, 'deep');
    const dying = scripted({ submit: killed });
    await expect(told.submit(dying.services)).rejects.toThrow('killed');
    expect(await told.task()).toMatchObject({ state: 'submitting' });
    const next = scripted({});
    expect(await told.submit(next.services)).toBe('failed');
    expect(next.submissions).toEqual([]);
    expect(await told.round(1, () => reply({ content: 'ok' }))).toMatchObject({ status: 'finished' });
  });

  it('whose worker dies once its id is stored is waited for', async () => {
    const told = await write(DEEP, 'deep');
    const { services, submissions } = scripted({});
    expect(await told.submit(services)).toBe('submitted');
    expect(await told.submit(services)).toBe('submitted');
    expect(submissions).toHaveLength(1);
  });

  it('that another attempt has given up meanwhile stays given up', async () => {
    const told = await write(DEEP, 'deep');
    const { services } = scripted({
      submit: async () => {
        await told.submit(scripted({}).services);
        return { kind: 'submitted', taskId: 'late' };
      },
    });
    expect(await told.submit(services)).toBe('failed');
    expect(await told.task()).toMatchObject({ state: 'failed', task_id: null });
  });

  it('that certainly did not go out is submitted by the next attempt', async () => {
    const told = await write(DEEP, 'deep');
    const refusal = { status: 503, retryAfterMs: 1_000 };
    const busy = scripted({ submit: () => Promise.resolve({ kind: 'not-submitted', refusal }) });
    await expect(told.submit(busy.services)).rejects.toMatchObject({ status: 503, retryAfterMs: 1_000 });
    expect(await told.task()).toBeUndefined();
    expect(await told.submit(scripted({}).services)).toBe('submitted');
  });

  it.each([
    ['refused', { code: 'RESEARCH_REJECTED', status: 402 }],
    ['unknown', { code: 'RESEARCH_UNAVAILABLE', worthAnotherTry: false }],
  ] as const)('whose submission is %s has failed, which an operator is told', async (kind, error) => {
    const told = await write(DEEP, 'deep');
    const { services, submissions } = scripted({ submit: () => Promise.resolve({ kind, status: 402 }) });
    await expect(told.submit(services)).rejects.toMatchObject(error);
    expect(await told.task()).toMatchObject({ state: 'failed' });
    expect(await told.submit(services)).toBe('failed');
    expect(submissions).toHaveLength(1);
  });

  it.each([401, 403])(
    'that is paid for outlasts a key that is not accepted (%i) while it is waited for',
    async (status) => {
      const told = await write(DEEP, 'deep');
      const states: DeepState[] = [
        { kind: 'denied', status },
        { kind: 'completed', answer: { answer: 'Bericht', citations: [] } },
      ];
      const { services } = scripted({ state: () => Promise.resolve(states.shift() ?? { kind: 'failed' }) });
      await told.submit(services);
      const denied = { code: 'RESEARCH_DENIED', status, worthAnotherTry: true };
      await expect(told.look(services)).rejects.toMatchObject(denied);
      expect(await told.task()).toMatchObject({ state: 'submitted' });
      await told.look(services);
      expect(await told.task()).toMatchObject({ state: 'done' });
    },
  );

  it.each([401, 403])(
    'whose service accepts no key of ours (%i) has failed, and says so to the operator',
    async (status) => {
      const told = await write(DEEP, 'deep');
      const { services } = scripted({ submit: () => Promise.resolve({ kind: 'refused', status }) });
      await expect(told.submit(services)).rejects.toMatchObject({ code: 'RESEARCH_DENIED', status });
      expect(await told.task()).toMatchObject({ state: 'failed' });
    },
  );

  it('whose connection breaks when its id is to be kept is not lost', async () => {
    const told = await write(DEEP, 'deep');
    const { services, submissions } = scripted({});
    let failures = 2;
    const { database } = harness.runner;
    const breaking: Database = {
      ...database,
      asUser: async (userId, work) => {
        const result = await database.asUser(userId, work);
        if (submissions.length > 0 && failures-- > 0) throw new Error('the connection broke');
        return result;
      },
    };
    const deps = { ...withServices(services), database: breaking };
    const input = { ...told.run, kind: 'deep' as const, agentId: told.loaded.agentId, grantUsable: false };
    expect(await submitResearch(deps, input, new AbortController().signal)).toEqual({ state: 'submitted' });
    expect(submissions).toHaveLength(1);
  });

  it('is asked for until it is completed, and its report stands in the prompt', async () => {
    const states: DeepState[] = [
      { kind: 'pending' },
      { kind: 'completed', answer: { answer: `Bericht: ${SECRET}`, citations: [] } },
    ];
    const { services, looks } = scripted({
      state: () => Promise.resolve(states.shift() ?? { kind: 'failed' }),
    });
    const told = await write(DEEP, 'deep', services);
    await told.submit(services);
    await expect(told.look(services)).rejects.toBeInstanceOf(ResearchPendingError);
    // A run that is interrupted here finds the task again.
    expect(await told.round(1, () => reply())).toMatchObject({ status: 'research-wanted', research: 'deep' });
    await told.look(services);
    await told.look(services);
    expect(looks).toEqual(Array.from({ length: 2 }, () => ({ taskId: 'task-1', userId: told.user.userId })));
    await told.round(1, () => reply({ content: 'ok' }));
    expect(told.requests[0]?.messages[1]?.content).toContain(`Bericht: ${SECRET}`);
  });

  it('that failed, was given up, or whose service is switched off meanwhile, costs the run its results alone', async () => {
    const { services } = scripted({ state: () => Promise.resolve({ kind: 'failed' }) });
    const ends: ((told: Researching) => Promise<void>)[] = [
      (told) => told.look(services),
      (told) => told.giveUp(),
      (told) => told.look(OFF),
    ];
    for (const end of ends) {
      const told = await write(DEEP, 'deep', services);
      await told.submit(services);
      await end(told);
      await told.round(1, () => reply({ content: 'ok' }));
      expect((await told.entries())[0]?.notices).toEqual([{ kind: 'research-failed', research: 'deep' }]);
    }
  });

  it('whose grant is revoked before its result comes stores nothing, and can still be given up', async () => {
    const user = await harness.webApp.createUser();
    const [missionId, noteId] = [randomUUID(), randomUUID()];
    await harness.webApp.insert(user, noteAt(noteId), { title: user.encrypt('x') });
    const grant = await harness.grantFor(user, missionId, [`notes:${noteId}`]);
    await harness.webApp.insert(user, missionAt(missionId), {
      ...{ ...STORY_MISSION, objective: user.encrypt(DEEP), inputs: [], grant },
    });
    const claimed = await storiesOf(harness).claim(user, missionId, { agentId: null, grantUsable: true });
    await sealInputs(harness.vault, claimed.run);
    const answer = { answer: SECRET, citations: [] };
    const { services } = scripted({ state: () => Promise.resolve({ kind: 'completed', answer }) });
    const told = researching(claimed, 'deep', true);
    expect(await told.submit(services)).toBe('submitted');
    await query(
      harness.databases.superuser.syncUrl,
      'update mana_ai.mission_grants set revoked_at = now() where mission_id = $1',
      [missionId],
    );
    await expect(told.look(services)).rejects.toBeInstanceOf(GrantUnusableError);
    await told.giveUp();
    expect(await told.task()).toMatchObject({ state: 'failed' });
  });

  it('of the service before is asked for instead of paid again, by every run until it has come to its end', async () => {
    const superuserUrl = harness.databases.superuser.syncUrl;
    const before = (told: Researching) =>
      query(superuserUrl, 'select task_id from mana_ai.research_before where user_id = $1', [
        told.user.userId,
      ]);
    const leave = (told: Researching, taskId: string) =>
      query(
        superuserUrl,
        'insert into mana_ai.research_before (user_id, mission_id, task_id) values ($1, $2, $3)',
        [told.user.userId, told.input.missionId, taskId],
      );
    const states: DeepState[] = [
      { kind: 'pending' },
      { kind: 'completed', answer: { answer: 'Bericht', citations: [] } },
    ];
    const { services, submissions, looks } = scripted({
      state: () => Promise.resolve(states.shift() ?? { kind: 'failed' }),
    });
    const told = await write(DEEP, 'deep');
    await leave(told, 'task-of-before');
    expect(await told.submit(services)).toBe('submitted');
    expect(await told.submit(services)).toBe('submitted');
    await expect(told.look(services)).rejects.toBeInstanceOf(ResearchPendingError);
    expect(await before(told)).toHaveLength(1);
    await told.look(services);
    expect(await before(told)).toEqual([]);
    expect(await told.task()).toEqual({ kind: 'deep', state: 'done', task_id: 'task-of-before' });
    expect(looks).toEqual([1, 2].map(() => ({ taskId: 'task-of-before', userId: told.user.userId })));

    const odd = await write(DEEP, 'deep');
    await leave(odd, '../odd');
    expect(await odd.submit(services)).toBe('failed');
    expect([await before(odd), submissions]).toEqual([[], []]);
  });

  it('of a mission that was paused meanwhile is not submitted', async () => {
    const told = await write(DEEP, 'deep');
    await harness.webApp.update(told.user, missionAt(told.run.missionId), { state: 'paused' });
    const { services, submissions } = scripted({});
    expect(await told.submit(services)).toBe('failed');
    expect(submissions).toEqual([]);
  });

  it('of a run that has ended sends and stores nothing', async () => {
    const told = await write(DEEP, 'deep');
    await told.forget();
    const { services, submissions, looks } = scripted({});
    expect(await told.submit(services)).toBe('failed');
    await told.look(services);
    await told.giveUp();
    expect([submissions, looks, await told.task()]).toEqual([[], [], undefined]);
  });
});
