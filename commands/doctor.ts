/**
 * `bin/yarn missions doctor [--process <role>…]`: looks at everything that has to be right for missions to run, and says of each
 * what was found and what to do about it. It changes nothing; for clocks and time zones it makes paused schedules, which it
 * deletes.
 */
import { Option, type Command } from 'commander';
import { PROCESS_ROLES, type ProcessRole } from '#config/zones.ts';
import { diagnose } from './doctor/diagnose.ts';
import { lineOf, type FindingStatus } from './finding.ts';
import { print } from './verb.ts';

const STATUSES: readonly FindingStatus[] = ['ok', 'warning', 'fault', 'unchecked'];

async function doctor(roles: readonly ProcessRole[], verb: Command): Promise<void> {
  const counts: Record<FindingStatus, number> = { ok: 0, warning: 0, fault: 0, unchecked: 0 };
  for await (const finding of diagnose(process.env, roles)) {
    counts[finding.status] += 1;
    print(verb, finding, lineOf(finding));
  }
  print(verb, { counts }, STATUSES.map((status) => `${status}: ${counts[status]}`).join(', '));
  if (counts.fault > 0) process.exitCode = 1;
}

const HELP = `
Without --process, what an operator has is judged: each process whose SYNC_DATABASE_URL_<PROCESS> is set, by its own part of the
environment. In the environment (or container) of one process, name it: then the environment is judged as that process does at its
start, secrets of other zones included.

Each line is ok, warning, fault or unchecked (it cannot be seen from here), with what was found and, behind ->, what to do.
The exit code is 1 if there is a fault.

Examples:
  bin/yarn missions doctor
  bin/yarn missions doctor --process runner
  bin/yarn missions doctor --json | jq 'select(.status == "fault")'

Environment: that of the processes (.env.example), MAINTENANCE_DATABASE_URL`;

export const addDoctor = (program: Command): void => {
  program
    .command('doctor')
    .description(
      'looks at everything that has to be right for missions to run, and says what to do about each',
    )
    .addOption(
      new Option('--process <roles...>', 'judge this environment as that of these processes').choices([
        ...PROCESS_ROLES,
      ]),
    )
    .addHelpText('after', HELP)
    .action((options: { readonly process?: readonly ProcessRole[] }, verb: Command) =>
      doctor(options.process ?? [], verb),
    );
};
