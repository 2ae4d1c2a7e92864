import { fault, ok, warning, type Judgement } from '#commands/finding.ts';
import { knownFailureText } from '#domain/run/failure-texts.ts';
import type { MissionRun } from '#runs/run-execution.ts';

/** What a mission's last runs say of it, in their order. What one that ended in order has left behind keeps nothing from running. */
export function judgeRuns(runs: readonly MissionRun[]): Judgement[] {
  if (runs.length === 0) return [ok('Temporal knows none, or none any more')];
  return runs.map((run) =>
    judgeRun(
      run,
      runs.some(({ state, startedAt }) => state === 'completed' && startedAt > run.startedAt),
    ),
  );
}

function judgeRun(run: MissionRun, isOver: boolean): Judgement {
  const outcome = run.result?.outcome ?? run.outcome ?? run.state;
  const code = run.result?.failureCode ?? null;
  const found = `${run.startedAt.toISOString()} ${outcome}${code === null ? '' : ` (${code})`}, run ${run.runId}`;
  if (code !== null) return warning(found, `its user reads: ${knownFailureText('en', code)}`);
  if (run.state === 'running' || run.state === 'completed') return ok(found);
  if (run.state !== 'failed') return warning(found, 'an operator or its user ended it');
  return isOver
    ? warning(found, 'nothing: a later run ended in order')
    : fault(found, 'see docs/operations.md, A stuck mission');
}
