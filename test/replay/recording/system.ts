import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from '@temporalio/client';
import { provisionPlatform, type PlatformDatabases } from '#dev/databases.ts';
import { createTemporaryDirectory } from '#dev/guardian.ts';
import { startJwksIssuer } from '#dev/jwks-issuer.ts';
import { startPostgres } from '#dev/postgres.ts';
import {
  startScriptedGateway,
  type RecordedRequest,
  type ScriptedGateway,
  type ScriptedResponse,
} from '#dev/scripted-gateway.ts';
import {
  demoResearch,
  startScriptedResearch,
  type ResearchScript,
  type ScriptedResearch,
} from '#dev/scripted-research.ts';
import { startTemporalServer } from '#dev/temporal-server.ts';
import { openWebApp, requestGrant, type WebApp } from '#dev/web-app.ts';
import { SEARCH_ATTRIBUTE_NAMES } from '#domain/run/search-attributes.ts';
import { connect } from '#temporal/connection.ts';
import { createDataConverter } from '#temporal/data-converter.ts';
import { bundleWorkflows } from '#worker/workflow-bundle.ts';
import { replyOfTwoRounds } from '#test/support/planner-scripts.ts';
import {
  startSystemProcess,
  type ProcessName,
  type Surroundings,
  type SystemProcess,
} from '#test/support/worker-process.ts';
import { replayCodecKeys } from '#test/replay/codec.ts';

export type Answer = (request: RecordedRequest) => ScriptedResponse | Promise<ScriptedResponse>;

/** API, runner and vault worker as real processes, with a gateway that answers as the scenario of the moment says. */
export interface RecordingSystem {
  readonly databases: PlatformDatabases;
  readonly temporalAddress: string;
  readonly client: Client;
  readonly gateway: ScriptedGateway;
  readonly research: ScriptedResearch;
  readonly webApp: WebApp;
  readonly workflowBundlePath: string;
  requestGrant(userId: string, body: Readonly<Record<string, unknown>>): Promise<unknown>;
  /** Until the next call; two rounds that plan a task by default. */
  answerWith(answer: Answer): void;
  /** Likewise for the research services; made-up results by default. */
  researchWith(script: ResearchScript): void;
  startProcess(name: ProcessName): Promise<SystemProcess>;
  /** With SIGKILL; another one is there afterwards. */
  killVault(): Promise<void>;
  close(): Promise<void>;
}

/** Starts it on servers of its own; whatever was started is stopped again when something fails. */
export async function startRecordingSystem(): Promise<RecordingSystem> {
  const stops: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const stop of stops.splice(0)) await stop();
  };
  try {
    return { ...(await startAll(stops)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function startAll(stops: (() => Promise<unknown>)[]): Promise<Omit<RecordingSystem, 'close'>> {
  const directory = createTemporaryDirectory('mana-replay-');
  stops.unshift(() => {
    directory.remove();
    return Promise.resolve();
  });
  const postgres = await startPostgres({ directory: directory.path });
  stops.unshift(() => postgres.stop());
  const temporal = await startTemporalServer({
    ui: false,
    logFile: join(directory.path, 'temporal.log'),
    searchAttributes: Object.values(SEARCH_ATTRIBUTE_NAMES),
  });
  stops.unshift(() => temporal.stop());
  const databases = await provisionPlatform(postgres);
  const workflowBundlePath = join(directory.path, 'workflow-bundle.js');
  writeFileSync(workflowBundlePath, await bundleWorkflows());

  let answer: Answer = replyOfTwoRounds;
  const serviceKey = randomBytes(24).toString('base64url');
  const gateway = await startScriptedGateway({ serviceKey, script: (request) => answer(request) });
  stops.unshift(() => gateway.close());
  let script = demoResearch();
  const research = await startScriptedResearch({
    serviceKey,
    script: (request, index) => script(request, index),
  });
  stops.unshift(() => research.close());
  const issuer = await startJwksIssuer();
  stops.unshift(() => issuer.close());
  const around: Surroundings = {
    databases,
    temporal: { address: temporal.address, namespace: 'default' },
    keys: {
      kek: randomBytes(32),
      ...generateKeyPairSync('rsa', { modulusLength: 2048 }),
      codecKeys: replayCodecKeys,
    },
    gateway: { url: gateway.url, serviceKey },
    issuerUrl: issuer.url,
    workflowBundlePath,
    logDirectory: directory.path,
  };
  const startProcess = async (name: ProcessName): Promise<SystemProcess> => {
    const started = await startSystemProcess(name, around);
    stops.unshift(() => started.stop());
    return started;
  };
  const api = await startProcess('api');
  let vault = await startProcess('vault');
  stops.unshift(await startRunner(around, research.url));

  const connection = await connect(around.temporal);
  stops.unshift(() => connection.close());
  const webApp = openWebApp({ ...databases.asWebApp, kek: around.keys.kek });
  stops.unshift(() => webApp.close());
  return {
    databases,
    temporalAddress: temporal.address,
    client: new Client({ connection, dataConverter: createDataConverter(replayCodecKeys) }),
    gateway,
    research,
    webApp,
    workflowBundlePath,
    requestGrant: async (userId, body) =>
      requestGrant(api.url(), await issuer.issueToken({ sub: userId }), body),
    answerWith: (next) => {
      answer = next;
    },
    researchWith: (next) => {
      script = next;
    },
    startProcess,
    killVault: async () => {
      await vault.kill9();
      vault = await startProcess('vault');
    },
  };
}

/** Research is on, and so small a window that a reply of seven thousand tokens comes near it. */
async function startRunner(around: Surroundings, researchUrl: string): Promise<() => Promise<unknown>> {
  const runner = await startSystemProcess('runner', around, {
    MANA_API_URL: researchUrl,
    MANA_RESEARCH_URL: researchUrl,
    DEEP_RESEARCH_ENABLED: 'true',
    MANA_LLM_CONTEXT_TOKENS: '8000',
  });
  return () => runner.stop();
}
