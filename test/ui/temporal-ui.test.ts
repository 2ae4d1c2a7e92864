import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDemoMissions, type DemoData } from '#dev/demo/missions.ts';
import { watchMissions } from '#dev/demo/watch.ts';
import { inheritedEnv } from '#dev/processes.ts';
import { startStack, type Stack } from '#dev/stack.ts';
import { temporalCliPath } from '#dev/temporal-server.ts';
import { requestGrant } from '#dev/web-app.ts';
import { launchChromium } from '#test/support/chromium.ts';
import { startRun, writeGrantedMission, type WrittenMission } from '#test/support/granted-mission.ts';
import { waitUntil } from '#test/support/wait-until.ts';

/** Written anew with `UPDATE_SCREENSHOT=true`; ids and times in it change with every run. */
const SCREENSHOT = resolve(import.meta.dirname, '../../docs/temporal-ui.png');
const LIST_SCREENSHOT = resolve(import.meta.dirname, '../../docs/temporal-list.png');
const isUpdating = process.env['UPDATE_SCREENSHOT'] === 'true';
/** A busy machine takes its time to draw the UI. */
const DEADLINE_MS = 45_000;
const OBJECTIVE = 'Plan the next step of the holiday in Vienna';
/** Base64 of our format's version and what follows it. */
const ENCRYPTED = /"A[\w+/]{100,}/;

const run = promisify(execFile);

let stack: Stack;
let browser: Browser;
let mission: WrittenMission;
let workflowId: string;
let runUrl: string;
/** Three missions that a schedule started: two are planned, the last fails for lack of a grant. */
let demo: DemoData;

beforeAll(async () => {
  stack = await startStack({ ports: {}, say: () => undefined });
  const { webApp, issuer, apiUrl, client } = stack;
  mission = await writeGrantedMission(
    {
      webApp,
      requestGrant: async (userId, body) =>
        requestGrant(apiUrl, await issuer.issueToken({ sub: userId }), body),
    },
    OBJECTIVE,
  );
  const handle = await startRun(client, mission);
  await handle.result();
  workflowId = handle.workflowId;
  const runPath = `${encodeURIComponent(workflowId)}/${handle.firstExecutionRunId}`;
  runUrl = `${stack.temporal.uiUrl ?? ''}/namespaces/default/workflows/${runPath}/timeline`;
  demo = await createDemoMissions(stack, () => undefined);
  await watchMissions(stack, demo, () => undefined);
  browser = await launchChromium();
}, 180_000);
afterAll(async () => {
  await browser.close();
  await stack.stop();
}, 60_000);

/** A browser of its own, without cookies or settings. */
async function inBrowser<T>(work: (page: Page) => Promise<T>): Promise<T> {
  const context: BrowserContext = await browser.newContext({ viewport: { width: 1400, height: 940 } });
  try {
    const page = await context.newPage();
    page.setDefaultTimeout(DEADLINE_MS);
    return await work(page);
  } finally {
    await context.close();
  }
}

async function logIn(page: Page, token: string): Promise<void> {
  await page.goto(`${stack.apiUrl}/codec/login`);
  await page.getByLabel('Operator token').fill(token);
  await page.getByRole('button', { name: 'Log in' }).click();
}

/** As an operator does it once: the development server has no flag that lets the UI send cookies to the endpoint. */
async function sendCredentials(page: Page): Promise<void> {
  await page.goto(runUrl);
  await page.locator('[data-testid^="data-encoder-status"]').click();
  const dialog = page.locator('#data-encoder-settings');
  await dialog.getByText('Use my browser setting').click();
  await dialog.getByPlaceholder('Paste your endpoint here').fill(`${stack.apiUrl}/codec`);
  await dialog.getByText('Include cross-origin credentials').click();
  await dialog.getByRole('button', { name: 'Apply' }).click();
  await page.reload();
}

/**
 * What stands in the panel "Input" of the run's page once it matches: for a moment it shows `null`, then the payload as
 * it is stored.
 */
const inputOf = (page: Page, pattern: RegExp): Promise<string> =>
  waitUntil(
    `the input of the run matches ${pattern.source}`,
    async () => {
      const [text = ''] = await page.locator('.cm-content:visible').allInnerTexts();
      return pattern.test(text) && text;
    },
    { deadlineMs: DEADLINE_MS },
  );

const codecProblem = (page: Page) =>
  page.getByText('Codec Server could not connect').filter({ visible: true }).first();

/** The run's id names the mission, so the user id is what only a decoded payload shows. */
async function expectNothingDecoded(page: Page): Promise<void> {
  await codecProblem(page).waitFor();
  await inputOf(page, ENCRYPTED);
  expect(await page.locator('body').innerText()).not.toContain(mission.user.userId);
}

/** What the endpoint logged while `work` was under way. */
async function decodeLog(work: () => Promise<unknown>): Promise<Set<unknown>> {
  const read = (): string[] => readFileSync(join(stack.directory, 'api.log'), 'utf8').trimEnd().split('\n');
  const linesBefore = read().length;
  await work();
  const messages = read()
    .slice(linesBefore)
    .map((line) => (JSON.parse(line) as { readonly msg?: unknown }).msg);
  return new Set(messages.filter((message) => /decod/.test(String(message))));
}

/** What the real CLI prints of the run. */
async function showByCli(codecAuth: string): Promise<string> {
  const args = ['workflow', 'show', '--workflow-id', workflowId, '--output', 'json'];
  const codec = ['--codec-endpoint', `${stack.apiUrl}/codec`, '--codec-auth', codecAuth];
  const env = { ...inheritedEnv(), TEMPORAL_CONFIG_FILE: '/dev/null' };
  const { stdout } = await run(temporalCliPath(), [...args, ...codec, '--address', stack.temporal.address], {
    env,
  });
  return stdout;
}

/** The run's input as it was given. */
const plainInput = () => ({
  userId: mission.user.userId,
  missionId: mission.missionId,
  trigger: 'run-now',
});

/** The list of runs that a query finds, once there are so many. @returns the text of each row */
async function listRuns(page: Page, query: string, count: number): Promise<string[]> {
  const list = `${stack.temporal.uiUrl ?? ''}/namespaces/default/workflows`;
  await page.goto(`${list}?query=${encodeURIComponent(query)}`);
  return rowsOf(page, count);
}

/** A saved query of the page for operators. */
function documentedQuery(question: string): string {
  const page = readFileSync(resolve(import.meta.dirname, '../../docs/operations.md'), 'utf8');
  const row = page.split('\n').find((line) => line.startsWith(`| ${question}`)) ?? '';
  return /`([^`]+)`/.exec(row)?.[1] ?? `no query for ${question}`;
}

const rowsOf = (page: Page, count: number): Promise<string[]> =>
  waitUntil(
    `the list has ${count} runs`,
    async () => {
      const rows = await page.locator('tbody tr').filter({ hasText: 'COMPLETED' }).allInnerTexts();
      return rows.length === count && rows;
    },
    { deadlineMs: DEADLINE_MS },
  );

/** As an operator does it once in a browser. */
async function chooseColumns(page: Page, away: readonly string[], added: readonly string[]): Promise<void> {
  await page.getByTestId('workflows-summary-table-configuration-button').click();
  for (const name of away) await page.getByRole('button', { name: `Remove ${name} column` }).click();
  for (const name of added) await page.getByRole('button', { name: `Add ${name} column` }).click();
  await page.getByTestId('drawer-close-button').click();
}

describe('the Temporal CLI', () => {
  it('shows decoded references with the operator token', async () => {
    // Its JSON shows payloads as protobuf does: base64 of what they hold.
    const input = Buffer.from(JSON.stringify(plainInput())).toString('base64');
    expect(await showByCli(`Bearer ${stack.operatorToken}`)).toContain(input);
  });
});

describe('the Temporal UI in Chromium', () => {
  it('lists which runs failed for their users, although all ended well for Temporal', async () => {
    await inBrowser(async (page) => {
      await page.setViewportSize({ width: 1500, height: 520 });
      await listRuns(page, `WorkflowType = 'missionRun'`, 4);
      const shown = ['ManaOutcome', 'ManaGrantState', 'ManaTrigger', 'Workflow ID', 'Start'];
      await chooseColumns(page, ['Workflow ID', 'Run ID', 'Type', 'Start', 'End'], shown);
      const rows = await rowsOf(page, 4);
      const outcomes = rows.map((row) => /\b(?:planned|failed)\b/.exec(row)?.[0]);
      expect(outcomes.toSorted()).toEqual(['failed', 'planned', 'planned', 'planned']);
      if (isUpdating) writeFileSync(LIST_SCREENSHOT, await page.screenshot());

      const [failed = ''] = await listRuns(page, documentedQuery('what failed for users today?'), 1);
      expect(failed).toContain(demo.missions[2]?.missionId);
    });
  });

  it('shows decoded references of a run to an operator who is logged in', async () => {
    await inBrowser(async (page) => {
      await logIn(page, stack.operatorToken);
      await page.getByText('Logged in until').waitFor();
      await sendCredentials(page);
      const input = await inputOf(page, /userId/);
      expect(JSON.parse(input)).toEqual(plainInput());
      expect(await codecProblem(page).count()).toBe(0);
      const text = await page.locator('body').innerText();
      for (const content of [OBJECTIVE, 'Plan the holiday', 'Packing list', 'tent, stove'])
        expect(text).not.toContain(content);
      if (isUpdating) writeFileSync(SCREENSHOT, await page.screenshot());
    });
  });

  it('shows nothing decoded to anybody else', async () => {
    await inBrowser(async (page) => {
      const log = await decodeLog(async () => {
        await page.goto(runUrl);
        await expectNothingDecoded(page);
      });
      expect(log).toEqual(new Set(['decoding refused']));
    });
  });

  it('a wrong token logs nobody in', async () => {
    await inBrowser(async (page) => {
      await logIn(page, 'not-the-token');
      await page.getByRole('alert').waitFor();
      expect(await page.context().cookies()).toEqual([]);
    });
  });

  it('the cookie is out of reach of scripts, and the logout ends it', async () => {
    await inBrowser(async (page) => {
      await logIn(page, stack.operatorToken);
      await page.getByText('Logged in until').waitFor();
      expect(await page.evaluate('document.cookie')).toBe('');
      expect(await page.context().cookies()).toMatchObject([
        { httpOnly: true, sameSite: 'Strict', path: '/codec' },
      ]);
      expect(await decodeFrom(page, `${stack.temporal.uiUrl ?? ''}/robots.txt`)).toBe(200);
      await page.goto(`${stack.apiUrl}/codec/login`);
      await page.getByRole('button', { name: 'Log out' }).click();
      await page.getByLabel('Operator token').waitFor();
      expect(await decodeFrom(page, `${stack.temporal.uiUrl ?? ''}/robots.txt`)).toBe(401);
    });
  });

  it('a page on another port of this host gets nothing, although the browser counts it as the same site', async () => {
    await inBrowser(async (page) => {
      await logIn(page, stack.operatorToken);
      await page.getByText('Logged in until').waitFor();
      // The issuer's server stands for any other one on 127.0.0.1.
      const elsewhere = `${stack.issuer.url}/api/v1/auth/jwks`;
      expect(await decodeFrom(page, elsewhere)).toBe('TypeError: Failed to fetch');
    });
  });
});

/** Status of the endpoint's answer to a script on the page of that URL, or what the script gets in place of one. */
async function decodeFrom(page: Page, url: string): Promise<number | string> {
  await page.goto(url);
  return page.evaluate(async (endpoint) => {
    try {
      const response = await fetch(endpoint, {
        method: 'POST',
        credentials: 'include',
        headers: { 'content-type': 'application/json', 'x-namespace': 'default' },
        body: '{"payloads":[]}',
      });
      return response.status;
    } catch (error) {
      return String(error);
    }
  }, `${stack.apiUrl}/codec/decode`);
}
