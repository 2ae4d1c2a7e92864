import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { documentedPrompt } from '#bench/tokens/documented.ts';

it('docs/planner.md shows a prompt as the model sees it (print it with bin/yarn bench:tokens --prompt)', () => {
  const page = readFileSync(new URL('../docs/planner.md', import.meta.url), 'utf8');
  expect(page).toContain(`\`\`\`text\n${documentedPrompt()}\n\`\`\`\n`);
});
