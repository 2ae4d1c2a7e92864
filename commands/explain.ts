/**
 * `bin/yarn missions explain <user> <mission>`: every reason for which a mission does or does not run by itself, by the decisions of
 * the service itself. Tells ids, states, times and codes, never a title or another word of the user.
 */
import type { Command } from 'commander';
import { loadExplainConfig } from '#config/explain-command.ts';
import { loadTemporalCommandConfig } from '#config/temporal-command.ts';
import { connectClient } from '#temporal/connection.ts';
import { createDataConverter } from '#temporal/data-converter.ts';
import { explainMission } from './explain/explain-mission.ts';
import { findingsOf, lineOf } from './finding.ts';
import { print } from './verb.ts';

async function explain(userId: string, missionId: string, verb: Command): Promise<void> {
  const config = loadExplainConfig(process.env);
  const { temporal, codecKeys } = loadTemporalCommandConfig(process.env);
  const connected = await connectClient(temporal, createDataConverter(codecKeys));
  const secrets = [config.projectionUrl, config.apiUrl ?? '', config.runnerUrl ?? ''];
  const explained = explainMission(config, connected.clients, { userId, missionId });
  try {
    const reasons: string[] = [];
    for (const check of explained.checks) {
      for (const finding of await findingsOf(check, secrets)) {
        if (finding.status === 'fault') reasons.push(finding.found);
        print(verb, finding, lineOf(finding));
      }
    }
    const runs = reasons.length === 0;
    print(
      verb,
      { runs, reasons },
      runs ? 'it runs by itself' : `it does not run as it should: ${reasons.join('; ')}`,
    );
    if (!runs) process.exitCode = 1;
  } finally {
    await explained.close();
    await connected.close();
  }
}

const HELP = `
Each line is ok, warning, fault (it keeps the mission from running, or its runs from planning) or unchecked, with what to do behind ->.
The exit code is 1 if there is a fault.

Examples:
  bin/yarn missions explain 6f0c… 0b7e…
  bin/yarn missions explain --json 6f0c… 0b7e… | jq -r 'select(.status == "fault").found'

Environment: SYNC_DATABASE_URL_PROJECTION, TEMPORAL_*, TEMPORAL_CODEC_KEYS; where they are set, SYNC_DATABASE_URL_API (grant),
SYNC_DATABASE_URL_RUNNER and DEFAULT_TOKENS_PER_DAY (record, budget), MANA_AI_PRIVATE_KEY_PEM (whether the grant opens)`;

export const addExplain = (program: Command): void => {
  program
    .command('explain')
    .description('every reason for which a mission does or does not run by itself')
    .argument('<user>', 'id of the user')
    .argument('<mission>', 'id of the mission')
    .addHelpText('after', HELP)
    .action((user: string, mission: string, _options: object, verb: Command) => explain(user, mission, verb));
};
