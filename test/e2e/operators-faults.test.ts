import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { httpError, httpReply, type RecordedRequest, type ScriptedResponse } from '#dev/scripted-gateway.ts';
import {
  startScriptedResearch,
  submitted,
  type ResearchScript,
  type ScriptedResearch,
} from '#dev/scripted-research.ts';
import { noticeText } from '#domain/planner/plan/user-texts.ts';
import { FAILURE_TEXTS, FAILURE_TEXTS_EN } from '#domain/run/failure-texts.ts';
import { registry } from '#metrics/registry.ts';
import { openDevice, type Device } from '#test/support/device.ts';
import { startRun, writePlaintextMission, type WrittenMission } from '#test/support/granted-mission.ts';
import { SERVICE_KEY, startMissionSystem, type MissionSystem } from '#test/support/mission-system.ts';
import { replyOfTwoRounds } from '#test/support/planner-scripts.ts';

/** What no user can mend: it is tried again or done without, the operator learns of it, and no user is sent to look for it. */

let system: MissionSystem;
let device: Device;
let research: ScriptedResearch;
/** The gateway's first answers to the mission whose objective holds the text. */
const answers = new Map<string, ScriptedResponse[]>();
/** What research does with everything that concerns a query with that text. */
const services = new Map<string, ScriptedResponse>();

beforeAll(async () => {
  const script = (request: RecordedRequest): ScriptedResponse => {
    const mine = [...answers].find(([text]) => request.bodyText.includes(text));
    return mine?.[1].shift() ?? replyOfTwoRounds(request);
  };
  const researchScript: ResearchScript = ({ body }) => {
    const mine = [...services].find(([text]) => JSON.stringify(body).includes(text));
    return mine?.[1] ?? submitted('task-1');
  };
  research = await startScriptedResearch({ serviceKey: SERVICE_KEY, script: researchScript });
  system = await startMissionSystem({
    script,
    parts: ['runner', 'vault'],
    research: { shallowUrl: research.url, deep: { url: research.url, serviceKey: SERVICE_KEY } },
  });
  device = openDevice(system.webApp, system.databases);
});
afterAll(async () => {
  await system.close();
  await research.close();
});

async function counted(service: string, reason: string): Promise<number> {
  const metric = await registry.getSingleMetric('mana_outside_failures_total')?.get();
  const mine = metric?.values.find(
    ({ labels }) => labels['service'] === service && labels['reason'] === reason,
  );
  return mine?.value ?? 0;
}

interface LogLine {
  readonly level?: number;
  readonly msg?: string;
  readonly failureType?: string;
}
const ERROR_LEVEL = 50;
const errorLines = (failureType: string): string[] =>
  system.logLines
    .map((line) => JSON.parse(line) as LogLine)
    .filter((line) => line.level === ERROR_LEVEL && line.failureType === failureType)
    .map(({ msg = '' }) => msg);

const OBJECTIVE_IS_TO_BE_CHANGED = /Ändere das Ziel|Change the mission/;
const summaryOf = async (told: WrittenMission): Promise<string> => {
  const [iteration] = await device.iterations(told);
  return String(iteration?.['summary']);
};

describe('a key that is not accepted', () => {
  it.concurrent.each<[string, () => ScriptedResponse]>([
    ['401 of the gateway', () => httpError(401, 'Missing API key')],
    ['403 of the gateway', () => httpReply(403, { detail: 'forbidden' })],
    [
      '401 of the provider',
      () => httpError(500, "Client error '401 Unauthorized' for url 'https://provider.example'"),
    ],
    [
      '403 of the provider',
      () => httpError(500, "Client error '403 Forbidden' for url 'https://provider.example'"),
    ],
    ['auth of the provider', () => httpError(502, { kind: 'auth', message: 'invalid key' })],
  ])('%s: the round is tried again once it is mended, and the operator is told', async (_, denied) => {
    const objective = `objective-${randomUUID()}`;
    answers.set(objective, [denied()]);
    const before = await counted('gateway', 'denied');
    const told = await writePlaintextMission(system.webApp, objective);
    expect(await (await startRun(system.client, told)).result()).toMatchObject({ outcome: 'planned' });
    expect(await counted('gateway', 'denied')).toBeGreaterThan(before);
    expect(await summaryOf(told)).not.toMatch(OBJECTIVE_IS_TO_BE_CHANGED);
  });

  it('the operator’s line names the settings to check, and no text of the provider', () => {
    const lines = errorLines('GATEWAY_DENIED');
    expect(lines).toHaveLength(5);
    for (const line of lines) expect(line).toContain('MANA_SERVICE_KEY');
    expect(system.logLines.join('')).not.toContain('provider.example');
  });

  it('for two hours: what the user reads then asks nothing of them', () => {
    for (const texts of [FAILURE_TEXTS, FAILURE_TEXTS_EN]) {
      expect(texts['gateway-unavailable']).not.toMatch(OBJECTIVE_IS_TO_BE_CHANGED);
      expect(texts['unreadable-reply']).not.toMatch(OBJECTIVE_IS_TO_BE_CHANGED);
    }
  });
});

describe('a research service that wants a token, refuses, or cannot be understood', () => {
  const SHALLOW = 'Finde Neues zu';
  const DEEP = 'Mache eine tiefe Recherche zu';
  it.concurrent.each([
    [SHALLOW, 401, 'denied', /user token/],
    [SHALLOW, 403, 'denied', /user token/],
    [SHALLOW, 404, 'rejected', /MANA_API_URL/],
    [DEEP, 401, 'denied', /accepts no key/],
    [DEEP, 402, 'rejected', /refuses what it is asked/],
    [DEEP, 502, 'unavailable', /no usable answer/],
  ] as const)(
    '%s … %i: planned without, and the operator is told why',
    async (words, status, reason, line) => {
      const topic = `thema-${randomUUID()}`;
      services.set(topic, httpReply(status, { error: `text of the service ${topic}` }));
      const before = await counted('research', reason);
      const told = await writePlaintextMission(system.webApp, `${words} ${topic}`);
      const result = await (await startRun(system.client, told)).result();
      expect(result).toMatchObject({ outcome: 'planned', failureCode: null });
      expect(await counted('research', reason)).toBeGreaterThan(before);
      const lines = errorLines(`RESEARCH_${reason.toUpperCase()}`);
      expect(lines).toContainEqual(expect.stringMatching(line));
      expect(system.logLines.join('')).not.toContain(topic);
      const kind = words === DEEP ? 'deep' : 'shallow';
      expect(await summaryOf(told)).toContain(noticeText('de', { kind: 'research-failed', research: kind }));
      expect(await summaryOf(told)).not.toMatch(OBJECTIVE_IS_TO_BE_CHANGED);
    },
  );

  it('an address where nobody answers: likewise', async () => {
    const before = await counted('research', 'unavailable');
    await research.close();
    const told = await writePlaintextMission(system.webApp, `${SHALLOW} ${randomUUID()}`);
    const result = await (await startRun(system.client, told)).result();
    expect(result).toMatchObject({ outcome: 'planned' });
    expect(await counted('research', 'unavailable')).toBeGreaterThan(before);
  });
});
