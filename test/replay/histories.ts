import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { historyFromJSON, type History } from '@temporalio/common/lib/proto-utils.js';

/** One file per path of a workflow: `<workflow type>-<what it pins>.json`. */
export const HISTORIES_DIRECTORY = join(import.meta.dirname, 'histories');

export interface RecordedHistory {
  /** The file's name without `.json`. */
  readonly name: string;
  readonly workflowType: string;
  /** As it was written. */
  readonly text: string;
  readonly history: History;
}

export function readHistories(): RecordedHistory[] {
  const files = readdirSync(HISTORIES_DIRECTORY).filter((file) => file.endsWith('.json'));
  return files.sort().map((file) => {
    const text = readFileSync(join(HISTORIES_DIRECTORY, file), 'utf8');
    const history = historyFromJSON(JSON.parse(text));
    const started = history.events?.[0]?.workflowExecutionStartedEventAttributes;
    return {
      name: basename(file, '.json'),
      workflowType: started?.workflowType?.name ?? '',
      text,
      history,
    };
  });
}
