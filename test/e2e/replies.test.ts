import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  httpReply,
  replyWithText,
  type RecordedRequest,
  type ScriptedResponse,
} from '#dev/scripted-gateway.ts';
import { openDevice, type Device } from '#test/support/device.ts';
import { startRun, writePlaintextMission } from '#test/support/granted-mission.ts';
import { query } from '#test/support/inspect.ts';
import { startMissionSystem, type MissionSystem } from '#test/support/mission-system.ts';
import { expandFixture } from '#test/support/reply-fixtures.ts';
import { strictRequestProblems } from '#test/support/strict-provider.ts';

/**
 * Every file of `test/replies/`: bodies of the gateway as they come over the wire, one for each round, and what becomes of
 * them. After the last one the model ends the plan with a word, if it is asked again at all.
 */
const fixtureSchema = z.strictObject({
  /** Whose fault it is and where it is seen. */
  about: z.string(),
  /** JSON, or the very text of a body. */
  replies: z.array(z.unknown()).min(1),
  /** What the model is told after the first of them, behind the prompt; strings that end with `*` are beginnings. */
  next: z.array(z.unknown()).optional(),
  /** How often the model was asked, and so what was paid for. */
  asked: z.number(),
  /** Tokens of each round that was kept; 120 by default. */
  tokens: z.array(z.number()).optional(),
  /** Tool and arguments of each step. */
  plan: z.array(z.tuple([z.string(), z.record(z.string(), z.unknown())])),
  status: z.enum(['awaiting-review', 'approved', 'failed']),
  /** Why it failed; null where it did not. */
  failure: z.string().nullable(),
  /** What the user reads; a beginning where it ends with `*`. Of a failure: absent, its text is the code's. */
  summary: z.string().optional(),
});
type Fixture = z.infer<typeof fixtureSchema>;

const folder = new URL('../replies/', import.meta.url);
const fixtures = readdirSync(folder)
  .filter((name) => name.endsWith('.json'))
  .map((name): [string, Fixture] => [
    name.replace(/\.json$/, ''),
    fixtureSchema.parse(expandFixture(JSON.parse(readFileSync(new URL(name, folder), 'utf8')))),
  ]);

const CLOSING = 'Das ist der Plan.';
const USAGE = { prompt_tokens: 100, completion_tokens: 20, total_tokens: 120 };

let system: MissionSystem;
let device: Device;
const replies = new Map<string, unknown[]>();
const objectiveOf = ({ bodyText }: RecordedRequest): string => /objective-[\w-]+/.exec(bodyText)?.[0] ?? '';
beforeAll(async () => {
  const script = (request: RecordedRequest): ScriptedResponse => {
    const next = replies.get(objectiveOf(request))?.shift();
    return next === undefined ? replyWithText(CLOSING) : responseOf(next);
  };
  system = await startMissionSystem({ script });
  device = openDevice(system.webApp, system.databases);
});
afterAll(() => system.close());

function responseOf(body: unknown): ScriptedResponse {
  const headers = { 'x-mana-llm-resolved': 'scripted/planner' };
  if (typeof body === 'string') return { kind: 'http', status: 200, headers, body };
  return httpReply(200, { usage: USAGE, ...(body as object) }, headers);
}

/** What a text of a fixture stands for. */
const pattern = (expected: unknown): unknown => {
  if (typeof expected === 'string' && expected.endsWith('*'))
    return expect.stringContaining(expected.slice(0, -1));
  if (Array.isArray(expected)) return expected.map(pattern);
  if (typeof expected !== 'object' || expected === null) return expected;
  return Object.fromEntries(Object.entries(expected).map(([key, value]) => [key, pattern(value)]));
};

describe.concurrent('an odd reply', () => {
  it.each(fixtures)('%s', async (_, fixture) => {
    const objective = `objective-${randomUUID()}`;
    replies.set(objective, [...fixture.replies]);
    const told = await writePlaintextMission(system.webApp, objective, { title: 'Plane die Woche' });
    const result = await (await startRun(system.client, told)).result();

    // What is sent.
    const requests = system.gateway.requests.filter((request) => objectiveOf(request) === objective);
    expect(requests).toHaveLength(fixture.asked);
    expect(requests.flatMap(({ bodyText }) => strictRequestProblems(bodyText))).toEqual([]);
    if (fixture.next !== undefined)
      expect(requests[1]?.body.messages.slice(2)).toEqual(fixture.next.map(pattern));

    // What the user gets.
    const [iteration, ...more] = await device.iterations(told);
    expect(more).toEqual([]);
    const plan = iteration?.['plan'] as { intent: { toolName: string; params: unknown } }[];
    expect(plan.map(({ intent }) => [intent.toolName, intent.params])).toEqual(fixture.plan);
    expect(iteration?.['overallStatus']).toBe(fixture.status);
    expect((iteration?.['errorDetails'] as { name: string } | undefined)?.name ?? null).toBe(fixture.failure);
    expect(result.failureCode).toBe(fixture.failure);
    if (fixture.summary !== undefined) expect(iteration?.['summary']).toEqual(pattern(fixture.summary));
    expect(String(iteration?.['summary'])).not.toMatch(
      /think>|tool_call|<\||"arguments"|Deine letzte Antwort/i,
    );

    // What is paid.
    const usage = await query(
      system.databases.superuser.syncUrl,
      `select total_tokens::text as tokens from mana_ai.token_usage where mission_id = $1 and purpose = 'plan' order by round`,
      [told.missionId],
    );
    const tokens = fixture.tokens ?? Array.from({ length: fixture.asked }, () => USAGE.total_tokens);
    expect(usage.map((row) => Number(row['tokens']))).toEqual(tokens);
    expect(result.totalTokens).toBe(tokens.reduce((sum, count) => sum + count, 0));
  });
});
