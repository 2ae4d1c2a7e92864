import { globSync, watch, type FSWatcher } from 'node:fs';
import { join } from 'node:path';

/**
 * Calls back for each change of a source file in these folders of `root`, and of the files among them, until the signal. Every folder
 * is watched by itself, and none of its files: many editors, and git, put a new file in the place of the old one, which a
 * watch of the file, such as `recursive` makes it, would go on with.
 *
 * @param entries paths below `root`; what ends in `.ts` is a file that lies there itself
 */
export function followSource(
  root: string,
  entries: readonly string[],
  onChange: (name: string) => void,
  signal: AbortSignal,
): void {
  const files = entries.filter((entry) => entry.endsWith('.ts'));
  const patterns = entries.filter((entry) => !files.includes(entry)).map((folder) => `${folder}/**/`);
  const watched = new Map<string, FSWatcher>();
  const lookForFolders = (): void => {
    const found = new Set(globSync(patterns, { cwd: root }));
    for (const folder of found) if (!watched.has(folder)) watched.set(folder, follow(folder));
    for (const [folder, watcher] of watched) {
      if (found.has(folder)) continue;
      watcher.close();
      watched.delete(folder);
    }
  };
  const follow = (folder: string): FSWatcher =>
    watch(join(root, folder), { signal }, (event, name) => {
      if (name === null) return;
      if (/(?<!\.test)\.(ts|json)$/.test(name)) onChange(name);
      else if (event === 'rename') lookForFolders();
    });
  lookForFolders();
  watch(root, { signal }, (_, name) => {
    if (name !== null && files.includes(name)) onChange(name);
  });
}
