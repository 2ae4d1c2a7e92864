/**
 * `bin/yarn missions <verb>`: what an operator has done to the service, one file for each verb. Exit code 0: done, and all is
 * well; 1: something is wrong, or the verb could not be carried out; 2: the arguments do not say what to do.
 */
import { Command, CommanderError } from 'commander';
import { masked } from '#logging/masked.ts';
import { endCommandOnUncaughtErrors } from '#logging/logger.ts';
import { addAuditErase } from './audit-erase.ts';
import { addAuditHeads } from './audit-heads.ts';
import { addAuditPrune } from './audit-prune.ts';
import { addAuditVerify } from './audit-verify.ts';
import { addDoctor } from './doctor.ts';
import { addExplain } from './explain.ts';
import { addKeys } from './keys-rotate.ts';
import { addMigrate } from './migrate.ts';
import { addReconcile } from './reconcile.ts';
import { addRuns } from './runs.ts';
import { addSetup } from './setup.ts';
import { addStopAll } from './stop-all.ts';
import { addSweep } from './sweep.ts';
import { addUserErase } from './user-erase.ts';
import { messageOf } from './verb.ts';

const HELP = `
Exit codes: 0 done, and all is well; 1 something is wrong, or it could not be done; 2 the arguments do not say what to do.
Each verb reads its settings from the environment and says in its own help which: bin/yarn missions <verb> --help
What to do when: docs/operations.md`;

/** In the order of the help. `audit` and other groups are commands with verbs of their own. */
function addVerbs(program: Command): void {
  addMigrate(program);
  addSetup(program);
  addReconcile(program);
  addDoctor(program);
  addExplain(program);
  addRuns(program);
  addSweep(program);
  addStopAll(program);
  addKeys(program);
  const audit = program.command('audit').description("the users' decrypt audit (docs/audit.md)");
  addAuditVerify(audit);
  addAuditHeads(audit);
  addAuditPrune(audit);
  addAuditErase(audit);
  addUserErase(program.command('user').description('what is kept of a user'));
}

endCommandOnUncaughtErrors('missions');

// Inherited by every verb that is added after it.
const program = new Command('bin/yarn missions')
  .description('what an operator does to Mana Missions')
  .option('--json', 'print JSON, one object a line, instead of text (the verbs of audit always do)')
  .addHelpText('after', HELP)
  .showHelpAfterError()
  .showSuggestionAfterError()
  .exitOverride();
addVerbs(program);

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else {
    process.exitCode = 1;
    const urls = Object.values(process.env).filter((value) => value?.includes('://') === true);
    console.error(masked(messageOf(error), urls as string[]));
  }
}
