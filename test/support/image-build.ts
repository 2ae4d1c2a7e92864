import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { contextPaths } from './image-context.ts';

const root = resolve(import.meta.dirname, '../..');

/** The instructions of the Dockerfile's stage `build`, each in one line. */
export function buildSteps(): { readonly instruction: string; readonly rest: string }[] {
  const text = readFileSync(join(root, 'Dockerfile'), 'utf8')
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll(/ ?\\\n\s*/g, ' ');
  const [, stage = ''] = /^FROM \S+ AS build\n((?:(?!FROM ).*\n)+)/m.exec(text) ?? [];
  return stage
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [instruction = ''] = line.split(' ');
      return { instruction, rest: line.slice(instruction.length + 1) };
    });
}

/**
 * Carries out stage `build` as Docker would, below `folder` in place of the root of the image's file system.
 *
 * @param env of the steps, complete but for what ARG sets
 * @returns the folder that the image gets as /app
 * @throws Error when a step fails, or is of a kind that is not known here
 */
export function runBuildSteps(folder: string, env: Readonly<Record<string, string>>): string {
  let workFolder = folder;
  const args: Record<string, string> = {};
  for (const { instruction, rest } of buildSteps()) {
    if (instruction === 'WORKDIR') {
      workFolder = join(folder, rest);
      mkdirSync(workFolder, { recursive: true });
    } else if (instruction === 'ARG') {
      const [, name = '', value = ''] = /^(\w+)="?([^"]*)"?$/.exec(rest) ?? [];
      args[name] = value;
    } else if (instruction === 'COPY') {
      copyFromContext(rest.split(' ').slice(0, -1), workFolder);
    } else if (instruction === 'RUN') {
      execFileSync('/bin/sh', ['-c', rest], { cwd: workFolder, env: { ...env, ...args }, stdio: 'pipe' });
    } else {
      throw new Error(`${instruction} of the Dockerfile is not known to this test`);
    }
  }
  return workFolder;
}

function copyFromContext(sources: readonly string[], workFolder: string): void {
  const isSource = (path: string) => sources.includes('.') || sources.includes(path);
  for (const path of contextPaths().filter(isSource)) {
    if (statSync(join(root, path)).isDirectory()) continue;
    mkdirSync(dirname(join(workFolder, path)), { recursive: true });
    cpSync(join(root, path), join(workFolder, path));
  }
}
