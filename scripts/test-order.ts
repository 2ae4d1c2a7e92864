import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Its tests wait for timeouts of killed processes more than they work. */
const WAITING_PROJECT = 'faults';
const SHORT_PROJECT = 'unit';

/**
 * Spreads `rare` over `common`, beginning with a rare one; both keep their order.
 *
 * Where tests that wait stand one after the other, all workers of vitest wait at once and the cores idle; where one of them
 * stands at the end, a single worker runs on alone.
 */
export function spread<T>(rare: readonly T[], common: readonly T[]): T[] {
  const share = Math.ceil(common.length / Math.max(rare.length, 1));
  return [
    ...rare.flatMap((item, index) => [item, ...common.slice(index * share, (index + 1) * share)]),
    ...common.slice(rare.length * share),
  ];
}

/** Vitest's own order, but files that wait run beside those that work, and the short unit tests come last. */
export class WaitingBesideWorking extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const of = (project: string): TestSpecification[] =>
      sorted.filter((file) => file.project.name === project);
    const others = sorted.filter(({ project }) => ![WAITING_PROJECT, SHORT_PROJECT].includes(project.name));
    return [...spread(of(WAITING_PROJECT), others), ...of(SHORT_PROJECT)];
  }
}
