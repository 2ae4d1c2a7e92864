import type { Command } from 'commander';
import { z } from 'zod';
import { loadCommandConnection } from '#config/temporal-command.ts';
import { connect } from '#temporal/connection.ts';
import { setUpTemporal } from '#temporal/setup.ts';
import { print } from './verb.ts';

const retentionDays = z.coerce.number().int().min(1).max(3650).optional();

/** `bin/yarn missions setup`: the namespaces and search attributes, with `TEMPORAL_*` alone; running it again is fine. */
async function setUp(verb: Command): Promise<void> {
  const retention = retentionDays.safeParse(process.env['TEMPORAL_RETENTION_DAYS'] || undefined);
  if (!retention.success)
    throw new Error('TEMPORAL_RETENTION_DAYS: expected a whole number of days, 1 to 3650');
  const config = loadCommandConnection(process.env);
  const namespaces = config.namespaces?.map(({ name }) => name) ?? [config.namespace];
  const connection = await connect(config);
  try {
    for (const namespace of namespaces) {
      const setup = await setUpTemporal(connection, namespace, {
        ...(retention.data !== undefined && { retentionDays: retention.data }),
      });
      const added = setup.searchAttributesAdded.join(', ') || 'none missing';
      const text = `namespace ${namespace}: ${setup.namespaceCreated ? 'created' : 'exists'}\nsearch attributes added: ${added}`;
      print(verb, { namespace, ...setup }, text);
    }
  } finally {
    await connection.close();
  }
}

export const addSetup = (program: Command): void => {
  program
    .command('setup')
    .description(
      'registers the Temporal namespace, or all of TEMPORAL_NAMESPACES, and our search attributes where they are missing',
    )
    .addHelpText(
      'after',
      '\nEnvironment: TEMPORAL_*, TEMPORAL_RETENTION_DAYS (30 unless set, of a namespace made here)',
    )
    .action((_options: object, verb: Command) => setUp(verb));
};
