import { readdirSync, readFileSync } from 'node:fs';
import { parser } from '@prometheus-io/lezer-promql';
import type { Metric } from 'prom-client';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { FAILURE_CODES } from '#domain/wire/iteration.ts';
import { collectProcessMetrics, registry } from './registry.ts';
import { TEMPORAL_FAILURE_METRICS, TEMPORAL_METRICS } from '#test/support/temporal-metrics.ts';

const root = new URL('../', import.meta.url);
const { groups } = parse(readFileSync(new URL('docker/alerts.yaml', root), 'utf8')) as {
  readonly groups: readonly {
    readonly rules: readonly {
      readonly alert: string;
      readonly expr: string;
      readonly labels: { readonly severity: string };
      readonly annotations: { readonly summary: string };
    }[];
  }[];
};
const rules = groups.flatMap((group) => group.rules);

const { tests: trials } = parse(readFileSync(new URL('docker/alerts.promtool.yaml', root), 'utf8')) as {
  readonly tests: readonly {
    readonly input_series: readonly { readonly series: string }[];
    readonly alert_rule_test: readonly {
      readonly alertname: string;
      readonly exp_alerts: readonly unknown[];
    }[];
  }[];
};

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly h: number; readonly w: number; readonly x: number; readonly y: number };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}
const dashboard = JSON.parse(readFileSync(new URL('docker/grafana-dashboard.json', root), 'utf8')) as {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { name: string }[] };
};
const queries = dashboard.panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr, legendFormat }, index) => ({
    name: `${title} ${index + 1}`,
    // Grafana puts a time in its place.
    expr: expr.replaceAll('$__rate_interval', '5m'),
    legendFormat,
  })),
);

interface Selected {
  readonly metrics: readonly { readonly name: string; readonly labels: readonly string[] }[];
  /** After `by`, of what all selectors have. */
  readonly grouping: readonly string[];
  readonly errors: number;
}

/** What an expression selects: its metrics with the labels that they are chosen by, and the labels that it groups by. */
function selectedBy(expr: string): Selected {
  const metrics: { name: string; labels: string[] }[] = [];
  const grouping: string[] = [];
  let errors = 0;
  parser.parse(expr).iterate({
    enter: (node) => {
      const text = expr.slice(node.from, node.to);
      if (node.type.isError) errors += 1;
      if (node.name === 'VectorSelector') metrics.push({ name: /^\w+/.exec(text)?.[0] ?? text, labels: [] });
      if (node.name !== 'LabelName') return;
      if (node.node.parent?.name === 'GroupingLabels') grouping.push(text);
      else metrics.at(-1)?.labels.push(text);
    },
  });
  return { metrics, grouping, errors };
}

/** Those of the server itself, which gives every series a label for its job and one for the target. */
const OF_PROMETHEUS: Readonly<Record<string, readonly string[]>> = { up: [] };
const OF_EVERY_SERIES = ['job', 'instance'];

/** The labels of a series, or null where nobody measures such a thing. */
function labelsOf(name: string): readonly string[] | null {
  const base = name.replace(/_(?:bucket|count|sum)$/, '');
  const ours = [name, base]
    .map((each) => registry.getSingleMetric(each))
    .find((found) => found !== undefined);
  const labels =
    OF_PROMETHEUS[name] ??
    TEMPORAL_METRICS[name] ??
    TEMPORAL_METRICS[base] ??
    TEMPORAL_FAILURE_METRICS[name] ??
    (ours as (Metric & { labelNames: readonly string[] }) | undefined)?.labelNames;
  if (labels === undefined) return null;
  return [...labels, ...OF_EVERY_SERIES, ...(name.endsWith('_bucket') ? ['le'] : [])];
}

/** @returns what is wrong with an expression */
function objectionsTo(expr: string, shown: readonly string[] = []): string[] {
  const { metrics, grouping, errors } = selectedBy(expr);
  if (errors > 0 || metrics.length === 0) return ['cannot be read'];
  return metrics.flatMap(({ name, labels }) => {
    const known = labelsOf(name);
    if (known === null) return [`nobody measures ${name}`];
    const unknown = [...labels, ...grouping, ...shown].filter((label) => !known.includes(label));
    return unknown.map((label) => `${name} has no label ${label}`);
  });
}

beforeAll(async () => {
  collectProcessMetrics();
  const files = readdirSync(import.meta.dirname).filter((name) => /(?<!\.test)\.ts$/.test(name));
  for (const file of files) await import(new URL(file, import.meta.url).href);
});

describe('alert rules', () => {
  it.each(rules.map((rule) => [rule.alert, rule] as const))('%s asks for what is measured', (_, rule) => {
    const shown = [...rule.annotations.summary.matchAll(/\$labels\.(\w+)/g)].map(([, label = '']) => label);
    expect(objectionsTo(rule.expr, shown)).toEqual([]);
    expect(['critical', 'warning']).toContain(rule.labels.severity);
    expect(rule.annotations.summary).not.toBe('');
  });

  it('are all explained where operators look', () => {
    const operations = readFileSync(new URL('docs/operations.md', root), 'utf8');
    for (const { alert } of rules) expect(operations).toContain(`\`${alert}\``);
  });

  it('are each seen to fire by the test for promtool, from series that are measured', () => {
    const fired = trials.flatMap(({ alert_rule_test: asked }) =>
      asked.filter((one) => one.exp_alerts.length > 0),
    );
    expect(new Set(fired.map(({ alertname }) => alertname))).toEqual(
      new Set(rules.map(({ alert }) => alert)),
    );
    const series = trials.flatMap((trial) => trial.input_series.map((one) => one.series));
    expect(series.flatMap((one) => objectionsTo(one))).toEqual([]);
  });

  it('know expressions that are none, and metrics and labels that are not there', () => {
    expect(objectionsTo('sum(increase(up[5m]) > ')).toEqual(['cannot be read']);
    expect(objectionsTo('a_total{b="c"}')).toEqual(['nobody measures a_total']);
    expect(objectionsTo('sum by (b) (up{c="d"})')).toEqual(['up has no label c', 'up has no label b']);
    expect(objectionsTo('rate(mana_run_duration_seconds_bucket{le="1", outcome="x"}[5m])')).toEqual([]);
  });
});

it('a failed run has a series of every code from the start: one that appears hides its event', async () => {
  const metric = await registry.getSingleMetric('mana_run_outcomes_total')?.get();
  const failed = (metric?.values ?? []).filter(({ labels }) => labels['outcome'] === 'failed');
  expect(new Set(failed.map(({ labels }) => labels['reason']))).toEqual(new Set(FAILURE_CODES));
  expect(failed.filter(({ value }) => value !== 0)).toEqual([]);
});

it('runs that are stuck have a series from the start, too', async () => {
  const metric = await registry.getSingleMetric('mana_run_duration_seconds')?.get();
  const counts = (metric?.values ?? []).filter(({ labels }) => labels['outcome'] === 'stuck');
  expect(counts.length).toBeGreaterThan(0);
  expect(counts.filter(({ value }) => value !== 0)).toEqual([]);
});

describe('the dashboard', () => {
  it.each(queries)('$name asks for what is measured', ({ expr, legendFormat }) => {
    const shown = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = '']) => label);
    expect(objectionsTo(expr, shown)).toEqual([]);
    // A sum has only the labels that it was made by.
    const { grouping } = selectedBy(expr);
    if (/\bsum\b/.test(expr)) expect(shown.filter((label) => !grouping.includes(label))).toEqual([]);
  });

  it('shows every figure of ours', () => {
    const asked = new Set(queries.flatMap(({ expr }) => selectedBy(expr).metrics.map(({ name }) => name)));
    const own = registry
      .getMetricsAsArray()
      .map(({ name }) => name)
      .filter((name) => name.startsWith('mana_'));
    const isShown = (name: string): boolean =>
      [name, `${name}_bucket`, `${name}_count`].some((series) => asked.has(series));
    expect(own.filter((name) => !isShown(name))).toEqual([]);
  });

  it('can be loaded: ids are unique, panels do not overlap, its one variable is the data source', () => {
    const { panels, templating } = dashboard;
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const cells = panels.flatMap(({ gridPos: { h, w, x, y } }) =>
      Array.from({ length: h * w }, (_, index) => `${x + (index % w)},${y + Math.floor(index / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(templating.list.map(({ name }) => name)).toEqual(['datasource']);
    for (const { type } of panels) expect(['row', 'stat', 'timeseries']).toContain(type);
  });
});
