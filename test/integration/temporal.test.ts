import { Client, WorkflowFailedError } from '@temporalio/client';
import type { Payload } from '@temporalio/common';
import proto from '@temporalio/proto';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { SEARCH_ATTRIBUTE_NAMES } from '#domain/run/search-attributes.ts';
import { missionScheduleSpec } from '#domain/cadence/schedule-spec.ts';
import { createMissionSchedules } from '#schedules/mission-schedules.ts';
import { missionScheduleId } from '#schedules/schedule-ids.ts';
import { connect, connectClient } from '#temporal/connection.ts';
import { createDataConverter } from '#temporal/data-converter.ts';
import { createPayloadCodec } from '#temporal/payload-codec.ts';
import { setUpTemporal } from '#temporal/setup.ts';
import { connectWorker } from '#temporal/worker-connection.ts';
import { waitUntil } from '#test/support/wait-until.ts';

const config = () => ({ address: inject('temporalAddress'), namespace: 'default' });
const workflowsPath = fileURLToPath(new URL('./temporal.workflows.ts', import.meta.url));
const oldKey = ['old', Buffer.alloc(32, 1)] as const;
const newKey = ['new', Buffer.alloc(32, 2)] as const;

const keyIdOf = (payload: Payload | null | undefined): string =>
  Buffer.from(payload?.metadata?.['encryption-key-id'] ?? []).toString();

beforeAll(() => {
  // The failing workflow is what is tested; no need to log it.
  Runtime.install({ logger: new DefaultLogger('ERROR') });
});

describe('setUpTemporal', () => {
  it('creates namespace and search attributes at once usable, and changes nothing the second time', async () => {
    const connection = await connect(config());
    const namespace = `setup-${randomUUID()}`;
    try {
      const both = await Promise.all([
        setUpTemporal(connection, namespace),
        setUpTemporal(connection, namespace),
      ]);
      expect(both.filter(({ namespaceCreated }) => namespaceCreated)).toHaveLength(1);
      expect(await setUpTemporal(connection, namespace)).toEqual({
        namespaceCreated: false,
        searchAttributesAdded: [],
      });
      const client = new Client({ connection, namespace });
      const schedules = createMissionSchedules({ client, taskQueue: 'nobody' });
      const spec = missionScheduleSpec({
        cadence: { kind: 'cron', expression: '0 8 * * *' },
        nextRunAtMs: null,
        timeZone: 'UTC',
      });
      if (spec === null) throw new Error('no spec');
      const result = await schedules.ensure({
        userId: 'u',
        missionId: 'm',
        agentId: null,
        spec,
      });
      expect(result).toBe('created');
      expect(Object.keys(SEARCH_ATTRIBUTE_NAMES).length).toBeLessThanOrEqual(8);
    } finally {
      await connection.close();
    }
  });

  it('an attribute of another type is an error that names it', async () => {
    const connection = await connect(config());
    const namespace = `setup-${randomUUID()}`;
    try {
      await setUpTemporal(connection, namespace);
      await connection.operatorService.removeSearchAttributes({
        namespace,
        searchAttributes: ['ManaOutcome'],
      });
      const int = proto.temporal.api.enums.v1.IndexedValueType.INDEXED_VALUE_TYPE_INT;
      await connection.operatorService.addSearchAttributes({
        namespace,
        searchAttributes: { ManaOutcome: int },
      });
      await waitUntil('the attribute is an Int', async () => {
        const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
        return customAttributes['ManaOutcome'] === int;
      });
      await expect(setUpTemporal(connection, namespace)).rejects.toThrow(/ManaOutcome/);
    } finally {
      await connection.close();
    }
  });
});

describe('the page for operators', () => {
  it('has queries that the server takes', async () => {
    const page = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8');
    const inCommands = [...page.matchAll(/temporal (workflow|schedule) \w+ --query "([^"]+)"/g)];
    const inTables = [...page.matchAll(/\| `(WorkflowType = [^`]+)`/g)];
    expect([inCommands.length, inTables.length]).toEqual([4, 5]);
    const connection = await connect(config());
    const client = new Client({ connection, namespace: 'default' });
    try {
      for (const [, of = '', query = ''] of inCommands) {
        if (of === 'workflow') await client.workflow.count(query);
        else await connection.workflowService.listSchedules({ namespace: 'default', query });
      }
      for (const [, query = ''] of inTables) await client.workflow.count(query);
    } finally {
      await connection.close();
    }
  });
});

describe('data converter', () => {
  it('a scheduled run decodes its input after a key rotation, and its history shows neither input nor failure', async () => {
    const taskQueue = `codec-${randomUUID()}`;
    const old = await connectClient(
      config(),
      createDataConverter({ primaryKeyId: 'old', keys: new Map([oldKey]) }),
    );
    const rotated = createDataConverter({ primaryKeyId: 'new', keys: new Map([newKey, oldKey]) });
    const connection = await connectWorker(config());
    const fresh = await connectClient(config(), rotated);
    const mission = { userId: randomUUID(), missionId: randomUUID() };
    const scheduleId = missionScheduleId(mission.userId, mission.missionId);
    const schedules = createMissionSchedules({ client: old.client, taskQueue });
    try {
      const worker = await Worker.create({ connection, taskQueue, workflowsPath, dataConverter: rotated });
      await worker.runUntil(async () => {
        const spec = missionScheduleSpec({
          cadence: { kind: 'manual' },
          nextRunAtMs: Date.now() + 500,
          timeZone: 'UTC',
        });
        if (spec === null) throw new Error('no spec');
        await schedules.ensure({ ...mission, agentId: null, spec });
        const workflowId = await waitUntil('the schedule has fired', async () => {
          const { info } = await fresh.client.schedule.getHandle(scheduleId).describe();
          return info.recentActions[0]?.action.workflow.workflowId;
        });
        const handle = fresh.client.workflow.getHandle(workflowId);
        const failure: unknown = await handle.result().catch((error: unknown) => error);
        expect(failure).toBeInstanceOf(WorkflowFailedError);
        expect(failure).toMatchObject({ cause: { message: `canary ${mission.missionId} schedule` } });

        const { events } = await handle.fetchHistory();
        const input = events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads?.[0];
        expect(keyIdOf(input)).toBe('old');
        const stored = events?.at(-1)?.workflowExecutionFailedEventAttributes?.failure;
        expect(stored).toMatchObject({ message: 'Encoded failure', stackTrace: '' });
        expect(keyIdOf(stored?.encodedAttributes)).toBe('new');
        for (const data of [input?.data, stored?.encodedAttributes?.data]) {
          expect(Buffer.from(data ?? mission.missionId).includes(mission.missionId)).toBe(false);
        }
      });
    } finally {
      await schedules.remove(mission.userId, mission.missionId);
      await connection.close();
      await old.close();
      await fresh.close();
    }
  });
});

describe('a worker', () => {
  it('refuses what no codec key encrypted, visibly, and goes on with the rest', async () => {
    const taskQueue = `plaintext-${randomUUID()}`;
    const keys = { primaryKeyId: 'new', keys: new Map([newKey]) };
    const connection = await connectWorker(config());
    const ours = await connectClient(config(), createDataConverter(keys));
    const strangers = await connect(config());
    const stranger = new Client({ connection: strangers, namespace: 'default' });
    const startOf = (client: Client, workflowId: string) =>
      client.workflow.start('awaitWord', { workflowId, taskQueue, args: ['hello'] });
    const failuresOf = async (workflowId: string): Promise<(Payload | null | undefined)[]> => {
      const { events } = await ours.client.workflow.getHandle(workflowId).fetchHistory();
      return (events ?? []).flatMap((event) => {
        const failed = event.workflowTaskFailedEventAttributes ?? null;
        return failed === null ? [] : [failed.failure?.encodedAttributes];
      });
    };
    const [started, signalled] = [`started-${randomUUID()}`, `signalled-${randomUUID()}`];
    try {
      const dataConverter = createDataConverter(keys, { refusePlaintext: true });
      const worker = await Worker.create({ connection, taskQueue, workflowsPath, dataConverter });
      await worker.runUntil(async () => {
        await startOf(stranger, started);
        await startOf(ours.client, signalled);
        await stranger.workflow.getHandle(signalled).signal('word', 'in clear');
        for (const workflowId of [started, signalled]) {
          const [failure] = await waitUntil('the task is refused', async () => {
            const failures = await failuresOf(workflowId);
            return failures.length > 0 && failures;
          });
          const [told] = await createPayloadCodec(keys).decode([failure ?? {}]);
          expect(Buffer.from(told?.data ?? []).toString()).toContain('TEMPORAL_CODEC_ACCEPT_PLAINTEXT');
        }
        const good = await startOf(ours.client, `good-${randomUUID()}`);
        await good.signal('word', 'world');
        expect(await good.result()).toBe('hello world');
        expect((await ours.client.workflow.getHandle(started).describe()).status.name).toBe('RUNNING');
      });

      // The switch of the first roll-out: the same runs go on.
      const lenient = await Worker.create({
        ...{ connection, taskQueue, workflowsPath },
        dataConverter: createDataConverter(keys),
      });
      await lenient.runUntil(async () => {
        await ours.client.workflow.getHandle(started).signal('word', 'again');
        expect(await ours.client.workflow.getHandle(started).result()).toBe('hello again');
        expect(await ours.client.workflow.getHandle(signalled).result()).toBe('hello in clear');
      });
    } finally {
      await strangers.close();
      await ours.close();
      await connection.close();
    }
  });
});
