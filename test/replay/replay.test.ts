import { fileURLToPath } from 'node:url';
import { DeterminismViolationError } from '@temporalio/workflow';
import { JSONToPayload, type JSONPayload } from '@temporalio/common/lib/proto-utils.js';
import { bundleWorkflowCode, DefaultLogger, Runtime, Worker, type WorkerOptions } from '@temporalio/worker';
import { beforeAll, describe, expect, it } from 'vitest';
import { replayCodecKeys } from './codec.ts';
import { readHistories, type RecordedHistory } from './histories.ts';
import { createDataConverter, FAILURE_CONVERTER_PATH } from '#temporal/data-converter.ts';
import { createPayloadCodec } from '#temporal/payload-codec.ts';
import * as workflows from '#workflows/index.ts';
import { workflowBundlePath } from '#test/support/workflow-bundle.ts';

const histories = readHistories();

/** @returns the error of each history that does not replay, by name */
async function replay(
  recorded: readonly RecordedHistory[],
  workflowBundle: NonNullable<WorkerOptions['workflowBundle']>,
): Promise<Map<string, unknown>> {
  const errors = new Map<string, unknown>();
  const results = Worker.runReplayHistories(
    { workflowBundle, dataConverter: createDataConverter(replayCodecKeys, { refusePlaintext: true }) },
    recorded.map(({ name, history }) => ({ workflowId: name, history })),
  );
  for await (const { workflowId, error } of results) if (error !== undefined) errors.set(workflowId, error);
  return errors;
}

beforeAll(() => {
  // A workflow that does not replay is what one test is about; no need to log it.
  Runtime.install({
    logger: new DefaultLogger('ERROR', () => undefined),
    telemetryOptions: { logging: { filter: 'ERROR', forward: {} } },
  });
});

describe('recorded histories', () => {
  it('replay, every one of them, with the workflows of today', async () => {
    expect(histories.length).toBeGreaterThan(0);
    expect(await replay(histories, { codePath: await workflowBundlePath() })).toEqual(new Map());
  });

  it('there is one of each workflow, named after it', () => {
    expect(new Set(histories.map(({ workflowType }) => workflowType))).toEqual(
      new Set(Object.keys(workflows)),
    );
    for (const { name, workflowType } of histories) expect(name.startsWith(`${workflowType}-`)).toBe(true);
  });

  it('fail with a determinism error where a workflow was changed', async () => {
    const changed = await bundleWorkflowCode({
      workflowsPath: fileURLToPath(new URL('./changed-workflows.ts', import.meta.url)),
      failureConverterPath: FAILURE_CONVERTER_PATH,
      logger: new DefaultLogger('ERROR'),
    });
    const runs = histories.filter(({ workflowType }) => workflowType === 'missionRun');
    const errors = await replay(runs, changed);
    expect([...errors.keys()].sort()).toEqual(runs.map(({ name }) => name).sort());
    for (const error of errors.values()) expect(error).toBeInstanceOf(DeterminismViolationError);
  });

  it.each(histories)('$name tells nothing about the machine that recorded it', async ({ text }) => {
    const identities = [...text.matchAll(/(?<![\w.-])[\w.-]+@[a-z][\w.-]*/g)].map(([found]) => found);
    for (const identity of identities) expect(identity).toMatch(/^worker@test(-\w+)?$/);
    const opened = await openPayloads(text);
    for (const trace of ['file://', 'node_modules', '.ts:', '.js:']) expect(opened).not.toContain(trace);
  });
});

/** The history's text, with every payload opened: all of them are under the publicly known key. */
async function openPayloads(text: string): Promise<string> {
  const codec = createPayloadCodec(replayCodecKeys);
  const payloads: JSONPayload[] = [];
  JSON.parse(text, (_name, value: unknown) => {
    if (isJsonPayload(value)) payloads.push(value);
    return value;
  });
  const opened = await codec.decode(payloads.map(JSONToPayload));
  return [text, ...opened.map(({ data }) => Buffer.from(data ?? []).toString('utf8'))].join('\n');
}

const isJsonPayload = (value: unknown): value is JSONPayload =>
  typeof value === 'object' && value !== null && 'metadata' in value && 'data' in value;
