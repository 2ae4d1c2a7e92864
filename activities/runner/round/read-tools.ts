import type { RunnerDependencies } from '#activities/runner/dependencies.ts';
import { openScope } from '#activities/runner/run-scope.ts';
import { readContents } from '#activities/runner/run-contents.ts';
import type { UserTransaction } from '#db/client.ts';
import { readClockMs } from '#db/sync-changes.ts';
import { timeZoneOfMission } from '#db/time-zones.ts';
import type { ReadTools } from '#domain/planner/plan/plan.ts';
import { answerRead } from '#domain/planner/prompt/read-tools.ts';
import type { ReadableRecord } from '#domain/run/run-inputs.ts';
import type { PlanRoundInput } from '#domain/run/run.ts';
import type { AskedOfRound } from '#domain/planner/plan/stored-request.ts';
import { toolsNamed } from '#domain/planner/tools/tool-catalog.ts';

/** What the tools of a round read from. */
export interface ReadToolsOfRun extends ReadTools {
  readonly records: readonly ReadableRecord[];
}

/**
 * Opens the run's records once more, as they are now, for the tools that read them.
 *
 * @throws GrantUnusableError when the grant has ended since the round was prepared
 */
export async function createReadTools(
  deps: RunnerDependencies,
  tx: UserTransaction,
  input: PlanRoundInput,
  { answered, delimiter }: Pick<AskedOfRound, 'answered' | 'delimiter'>,
  maxChars: number,
): Promise<ReadToolsOfRun> {
  const scope = await openScope(deps, tx, input);
  try {
    // Its agent's words are no records.
    const { records } = await readContents(scope, null);
    const context = {
      records,
      nowMs: await readClockMs(tx),
      timeZone: await timeZoneOfMission(tx, input.missionId),
      ...{ delimiter: delimiter ?? '', maxChars },
    };
    return {
      records,
      tools: toolsNamed(answered),
      answer: (toolName, params) => answerRead(toolName, params, context),
    };
  } finally {
    scope.key.fill(0);
  }
}
