import { readdirSync, readFileSync } from 'node:fs';
import { parser } from '@prometheus-io/lezer-promql';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { registry } from './registry.ts';

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

/** What an expression selects: the names of its metrics, and of their labels. */
function selectedBy(expr: string): { readonly metrics: string[]; readonly labels: string[]; errors: number } {
  const found = { metrics: [] as string[], labels: [] as string[], errors: 0 };
  parser.parse(expr).iterate({
    enter: (node) => {
      const text = expr.slice(node.from, node.to);
      if (node.type.isError) found.errors += 1;
      if (node.name === 'VectorSelector') found.metrics.push(/^\w+/.exec(text)?.[0] ?? text);
      if (node.name === 'LabelName') found.labels.push(text);
    },
  });
  return found;
}

beforeAll(async () => {
  const files = readdirSync(import.meta.dirname).filter((name) => /(?<!\.test)\.ts$/.test(name));
  for (const file of files) await import(new URL(file, import.meta.url).href);
});

/** Those of the server itself, which scrapes them with a label for the job. */
const OF_PROMETHEUS: Readonly<Record<string, readonly string[]>> = { up: ['job'] };

describe('alert rules', () => {
  it.each(rules.map((rule) => [rule.alert, rule] as const))('%s asks for what is measured', (_, rule) => {
    const { metrics, labels, errors } = selectedBy(rule.expr);
    expect(errors, rule.expr).toBe(0);
    expect(metrics).toHaveLength(1);
    for (const name of metrics) {
      const metric = registry.getSingleMetric(name) as { labelNames?: readonly string[] } | undefined;
      const known = OF_PROMETHEUS[name] ?? metric?.labelNames;
      expect(known, name).toBeDefined();
      expect(labels.filter((label) => known?.includes(label) !== true)).toEqual([]);
    }
    expect(['critical', 'warning']).toContain(rule.labels.severity);
    expect(rule.annotations.summary).not.toBe('');
  });

  it('are all explained where operators look', () => {
    const operations = readFileSync(new URL('docs/operations.md', root), 'utf8');
    for (const { alert } of rules) expect(operations).toContain(`\`${alert}\``);
  });

  it('know expressions that are none, and labels that are not there', () => {
    expect(selectedBy('sum(increase(a_total[5m]) > ').errors).toBeGreaterThan(0);
    expect(selectedBy('a_total{b="c"}')).toEqual({ metrics: ['a_total'], labels: ['b'], errors: 0 });
  });
});
