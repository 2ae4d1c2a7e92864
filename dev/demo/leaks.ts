import type { Stack } from '#dev/stack.ts';
import {
  filePlaces,
  findLeaks,
  historyPlace,
  tablesPlace,
  temporalDatabasePlaces,
  type Leak,
} from '#dev/leak-search.ts';

/**
 * Searches everything that must hold no plaintext: workflow histories as the server stores them, Temporal's database
 * file, all logs, and every table of ours.
 *
 * @param texts must be long enough not to occur by chance
 */
export async function findDemoLeaks(stack: Stack, texts: readonly string[]): Promise<Leak[]> {
  const { databases, client, temporalDatabaseFile, logFiles } = stack;
  const places = [
    await historyPlace(client),
    ...temporalDatabasePlaces(temporalDatabaseFile),
    ...logFiles.flatMap((file) => filePlaces(`log ${file.split('/').at(-1) ?? file}`, [file])),
    await tablesPlace('tables of schema mana_ai', databases.superuser.syncUrl, `schemaname = 'mana_ai'`),
  ];
  return findLeaks(places, texts);
}
