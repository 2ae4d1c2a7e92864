import { join } from 'node:path';
import { inject } from 'vitest';
import type { Asked } from './invariants.ts';
import type { HostileReply } from './hostile-replies.ts';
import { createTemporaryDirectory } from '#dev/guardian.ts';
import { filePlaces, temporalDatabasePlaces, type Place } from '#dev/leak-search.ts';
import type { RecordedRequest, ScriptedResponse } from '#dev/scripted-gateway.ts';
import { startTemporalServer } from '#dev/temporal-server.ts';
import { SEARCH_ATTRIBUTE_NAMES } from '#domain/run/search-attributes.ts';
import { surroundingsOf } from '#test/faults/surroundings.ts';
import { startMissionSystem, type MissionSystem } from '#test/support/mission-system.ts';
import { replyOfTwoRounds } from '#test/support/planner-scripts.ts';
import { startSystemProcess, type ProcessName, type SystemProcess } from '#test/support/worker-process.ts';

export type NamedProcess = SystemProcess & { readonly name: ProcessName };

/** The service as it is run, each process with its role and nothing else, and a gateway that can be made to misbehave. */
export interface HostileSystem {
  readonly system: MissionSystem;
  readonly processes: readonly NamedProcess[];
  readonly apiUrl: string;
  /** Of all that ended since they were started. */
  readonly ended: ReadonlySet<SystemProcess>;
  /** What the gateway was asked, and what came of it. */
  readonly asked: readonly Asked[];
  /** Answers to requests that hold the mark, before it answers well; without a mark, to those that hold none. */
  misbehave(mark: string | null, replies: readonly HostileReply[]): void;
  /** What is written down outside the databases of the platform. */
  writtenDown(): Place[];
  close(): Promise<void>;
}

/** Stands in the objective and the concept of a mission, so that the gateway knows whom it answers. */
export const markOf = (missionId: string): string => `MARK-${missionId}-KRAM`;
const MARK = /MARK-[\da-f-]{36}-KRAM/;

const HEAP_MB = 512;

/** Starts everything; `close` ends it. */
export async function startHostileSystem(): Promise<HostileSystem> {
  const directory = createTemporaryDirectory('mana-attacks-');
  const databaseFile = join(directory.path, 'temporal.db');
  const logFile = join(directory.path, 'temporal.log');
  const temporal = await startTemporalServer({
    ...{ ui: false, dbFile: databaseFile, logFile },
    searchAttributes: Object.values(SEARCH_ATTRIBUTE_NAMES),
  });
  const gateway = createMisbehaviour();
  const system = await startMissionSystem({
    ...{ parts: [], temporalAddress: temporal.address, script: gateway.script },
  });
  const around = {
    ...(await surroundingsOf(system)),
    temporal: { address: temporal.address, namespace: system.namespace },
  };
  const small = { NODE_OPTIONS: `--max-old-space-size=${HEAP_MB}` };
  const processes = await Promise.all(
    (['api', 'runner', 'vault', 'projection'] as const).map(async (name) => ({
      ...(await startSystemProcess(name, around, small)),
      name,
    })),
  );
  const ended = new Set<SystemProcess>();
  for (const running of processes) void running.exited.then(() => ended.add(running));
  return {
    ...{ system, processes, ended, asked: gateway.asked, misbehave: gateway.misbehave },
    apiUrl: processes[0]?.url() ?? '',
    writtenDown: () => [
      ...temporalDatabasePlaces(databaseFile),
      ...filePlaces("Temporal's log", [logFile]),
      ...filePlaces("PostgreSQL's log", [join(inject('serverLogDirectory'), 'postgres.log')]),
      ...processes.map(({ name, output }) => ({ name: `log of ${name}`, content: Buffer.from(output()) })),
    ],
    close: async () => {
      await Promise.all(processes.map((running) => running.stop()));
      await system.close();
      await temporal.stop();
      directory.remove();
    },
  };
}

function createMisbehaviour() {
  const asked: Asked[] = [];
  const replies = new Map<string | null, HostileReply[]>();
  const answer = async (
    request: RecordedRequest,
  ): Promise<{ response: ScriptedResponse; isWell: boolean }> => {
    const mark = MARK.exec(request.bodyText)?.[0] ?? null;
    const odd = replies.get(mark)?.shift();
    if (odd === undefined) return { response: replyOfTwoRounds(request), isWell: true };
    const { promise, resolve } = Promise.withResolvers<undefined>();
    setTimeout(() => resolve(undefined), odd.afterMs);
    await promise;
    return { response: odd.response, isWell: false };
  };
  return {
    asked,
    misbehave: (mark: string | null, given: readonly HostileReply[]) => {
      replies.set(mark, [...given]);
    },
    script: async (request: RecordedRequest): Promise<ScriptedResponse> => {
      const { idempotencyKey, bodyText: body } = request;
      const askedAtMs = Date.now();
      const { response, isWell } = await answer(request);
      const isWhole = response.kind === 'http' && response.status === 200;
      asked.push({
        ...{ idempotencyKey, body, askedAtMs, isWellAnswered: isWell },
        answeredAtMs: isWhole ? Date.now() : null,
      });
      return response;
    },
  };
}
