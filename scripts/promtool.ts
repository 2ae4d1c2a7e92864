/**
 * `bin/yarn promtool`: a real promtool loads the alert rules, tries them on docker/alerts.promtool.yaml, and reads every query of
 * the dashboard. `PROMTOOL`, or the one of Debian's package, which the machine's apt downloads and which is not installed.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { stringify } from 'yaml';
import { createTemporaryDirectory } from '#dev/guardian.ts';

const root = resolve(import.meta.dirname, '..');
const directory = createTemporaryDirectory('mana-promtool-');
try {
  const promtool = process.env['PROMTOOL'] ?? debianPromtool(directory.path);
  const dashboard = join(directory.path, 'dashboard.yaml');
  writeFileSync(dashboard, stringify({ groups: [{ name: 'dashboard', rules: dashboardQueries() }] }));
  const runs = [
    ['--version'],
    ['check', 'rules', join(root, 'docker/alerts.yaml'), dashboard],
    ['test', 'rules', join(root, 'docker/alerts.promtool.yaml')],
  ];
  const failed = runs.filter((args) => spawnSync(promtool, args, { stdio: 'inherit' }).status !== 0);
  process.exitCode = failed.length === 0 ? 0 : 1;
} finally {
  directory.remove();
}

/** As rules that record something, which is how promtool reads an expression. */
function dashboardQueries(): { readonly record: string; readonly expr: string }[] {
  const { panels } = JSON.parse(readFileSync(join(root, 'docker/grafana-dashboard.json'), 'utf8')) as {
    readonly panels: readonly { readonly targets?: readonly { readonly expr: string }[] }[];
  };
  return panels
    .flatMap(({ targets = [] }) => targets)
    .map(({ expr }, index) => ({
      record: `query:${index + 1}`,
      // Grafana puts a time in its place.
      expr: expr.replaceAll('$__rate_interval', '5m'),
    }));
}

function debianPromtool(folder: string): string {
  const run = (command: string, ...args: string[]) =>
    execFileSync(command, args, { cwd: folder, stdio: 'pipe' });
  try {
    run('apt-get', 'download', '-o', 'APT::Sandbox::User=', 'prometheus');
    const [file = ''] = readdirSync(folder).filter((name) => name.endsWith('.deb'));
    run('dpkg-deb', '--extract', file, folder);
  } catch (cause) {
    throw new Error(
      'apt-get finds no package prometheus here: run apt-get update, or set PROMTOOL to a promtool',
      {
        cause,
      },
    );
  }
  return join(folder, 'usr/bin/promtool');
}
