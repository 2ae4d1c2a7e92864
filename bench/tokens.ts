/**
 * `bin/yarn bench:tokens [--json | --prompt]`: what the model is sent, in tokens of a real tokenizer (o200k), by part; or the
 * prompt that docs/planner.md shows. Needs no servers and gives the same figures everywhere.
 */
import { commandLine } from '#dev/command-line.ts';
import { documentedPrompt } from './tokens/documented.ts';
import { tokenReport, tokenTables } from './tokens/report.ts';

const values = commandLine('bin/yarn bench:tokens', 'What the model is sent, in tokens, by part.')
  .option('--json', 'as JSON')
  .option('--prompt', 'the prompt that docs/planner.md shows')
  .parse()
  .opts<{ json?: boolean; prompt?: boolean }>();
if (values.prompt === true) console.log(documentedPrompt());
else if (values.json === true) console.log(JSON.stringify(tokenReport(), null, 2));
else console.log(tokenTables(tokenReport()));
