import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { plotPath, withResults } from './markdown.ts';
import { plotOf } from './plot.ts';
import { parseResult, type Result } from './result.ts';
import { PART_NAMES } from '#bench/parts.ts';

const docs = resolve(import.meta.dirname, '..', '..', 'docs');
/** Of the last run of each part. */
const folder = join(docs, 'bench');
const page = join(docs, 'performance.md');
const runFile = join(folder, 'run.json');

const fileOf = (part: string): string => join(folder, `${part}.json`);

/** What a run of all parts began with, so that it can be taken up again. */
export function beginRun(startedAt: string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(runFile, `${JSON.stringify({ startedAt }, null, 2)}\n`);
}

/** Parts that the last run of all has measured already. */
export function partsOfLastRun(): string[] {
  if (!existsSync(runFile)) return [];
  const { startedAt } = JSON.parse(readFileSync(runFile, 'utf8')) as { readonly startedAt: string };
  return measuredSince(startedAt, readResults());
}

export const measuredSince = (
  startedAt: string,
  results: readonly Pick<Result, 'part' | 'startedAt'>[],
): string[] => results.filter((result) => result.startedAt >= startedAt).map(({ part }) => part);

export function keep(part: string, text: string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(fileOf(part), text);
}

/** In the order of the parts. */
export const readResults = (): Result[] =>
  PART_NAMES.filter((part) => existsSync(fileOf(part))).map((part) =>
    parseResult(readFileSync(fileOf(part), 'utf8')),
  );

/** @returns path below docs/ and text of the page and of each picture, as the results want them */
export async function documents(): Promise<Map<string, string>> {
  const results = readResults();
  const text = withResults(readFileSync(page, 'utf8'), results);
  const documented = new Map([
    ['performance.md', await format(text, { ...(await resolveConfig(page)), parser: 'markdown' })],
  ]);
  for (const result of results)
    for (const plot of result.plots) documented.set(plotPath(result, plot), plotOf(result, plot));
  return documented;
}

/** Pictures that are there, from docs/. */
export const pictures = (): string[] =>
  existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => name.endsWith('.svg'))
        .map((name) => `bench/${name}`)
    : [];

export async function writeDocuments(): Promise<void> {
  const documented = await documents();
  for (const path of pictures()) if (!documented.has(path)) rmSync(join(docs, path));
  for (const [path, text] of documented) writeFileSync(join(docs, path), text);
}
