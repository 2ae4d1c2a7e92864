import { z } from 'zod';
import type { StoredIteration } from './mission.ts';
import { visibleLine } from './prompt-text.ts';

/** How many earlier runs the model sees (contract section 12). */
const MAX_ITERATIONS = 3;
const MAX_STEPS = 30;
const MAX_LINE_CHARS = 200;
const MAX_TEXT_CHARS = 800;

const text = z.string().catch('');

/** Iterations are written by many versions of the web app: what cannot be read is left out, never fatal. */
const iterationSchema = z.object({
  startedAt: text,
  overallStatus: text,
  summary: text,
  userFeedback: text,
  plan: z
    .array(
      z
        .object({ summary: text, status: text, intent: z.object({ toolName: text }).catch({ toolName: '' }) })
        .catch({ summary: '', status: '', intent: { toolName: '' } }),
    )
    .catch([]),
});

/** The last three runs, oldest first: what was planned, what became of each step, and what the user said to it. */
export const renderHistory = (iterations: readonly StoredIteration[]): string =>
  iterations
    .slice(-MAX_ITERATIONS)
    .map((iteration) => renderIteration(iterationSchema.parse(iteration)))
    .join('\n\n');

function renderIteration(iteration: z.infer<typeof iterationSchema>): string {
  const steps = iteration.plan.slice(0, MAX_STEPS).map(({ summary, status, intent }) => {
    const name = intent.toolName === '' ? 'note' : intent.toolName;
    return visibleLine(`- [${status || 'unknown'}] ${name}: ${summary}`, MAX_LINE_CHARS);
  });
  const more = iteration.plan.length - steps.length;
  return [
    visibleLine(
      `Run of ${iteration.startedAt}, status ${iteration.overallStatus || 'unknown'}`,
      MAX_LINE_CHARS,
    ),
    ...(iteration.summary === '' ? [] : [`Summary: ${visibleLine(iteration.summary, MAX_TEXT_CHARS)}`]),
    ...steps,
    ...(more > 0 ? [`- and ${more} more steps`] : []),
    ...(iteration.userFeedback === ''
      ? []
      : [`The user's feedback: ${visibleLine(iteration.userFeedback, MAX_TEXT_CHARS)}`]),
  ].join('\n');
}
