import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import dockerignore from '@balena/dockerignore';

const root = resolve(import.meta.dirname, '../..');
// Its types say that the function is one level deeper than it is.
const context = (dockerignore as unknown as typeof dockerignore.default)().add(
  readFileSync(join(root, '.dockerignore'), 'utf8'),
);

/** Whether Docker sends that file of the clone to the builder. */
export const isInContext = (path: string): boolean => !context.ignores(path);

const filesIn = (path: string): string[] =>
  statSync(join(root, path)).isDirectory()
    ? readdirSync(join(root, path), { recursive: true, encoding: 'utf8' }).map((file) => `${path}/${file}`)
    : [path];

/** Every path of this clone that the image is built from; folders whose names pass the list are among them. */
export function contextPaths(): string[] {
  return readdirSync(root)
    .filter((name) => !/^(?:\.git|\.tools|node_modules|dist)$/.test(name))
    .flatMap(filesIn)
    .filter(isInContext);
}
