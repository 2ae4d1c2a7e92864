import { z } from 'zod';

export interface Counts {
  readonly passed: number;
  readonly failed: number;
}

const reportSchema = z.object({
  testResults: z.array(
    z.object({ status: z.string(), assertionResults: z.array(z.object({ status: z.string() })) }),
  ),
});

/**
 * Counts the tests of a run. Whatever is not passed is failed: also a skipped test, a file that could not be loaded, and
 * a run that ended badly although no test failed.
 *
 * @param report what vitest's JSON reporter wrote; anything else counts as one failure
 * @param succeeded whether vitest ended with code 0
 */
export function countTests(report: string, succeeded: boolean): Counts {
  const parsed = reportSchema.safeParse(readJson(report));
  if (!parsed.success) return { passed: 0, failed: 1 };
  const files = parsed.data.testResults.map(({ status, assertionResults }) => {
    const passed = assertionResults.filter((test) => test.status === 'passed').length;
    const failed = assertionResults.length - passed;
    return { passed, failed: status === 'passed' ? failed : Math.max(failed, 1) };
  });
  const passed = files.reduce((sum, file) => sum + file.passed, 0);
  const failed = files.reduce((sum, file) => sum + file.failed, 0);
  return { passed, failed: succeeded ? failed : Math.max(failed, 1) };
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
