/**
 * `bin/yarn bench:tokens [--json | --prompt]`: what the model is sent, in tokens of a real tokenizer (o200k), by part; or the
 * prompt that docs/planner.md shows. Needs no servers and gives the same figures everywhere.
 */
import { parseArgs } from 'node:util';
import { documentedPrompt } from './tokens/documented.ts';
import { tokenReport, tokenTables } from './tokens/report.ts';

const { values } = parseArgs({
  options: { json: { type: 'boolean', default: false }, prompt: { type: 'boolean', default: false } },
});
if (values.prompt) console.log(documentedPrompt());
else if (values.json) console.log(JSON.stringify(tokenReport(), null, 2));
else console.log(tokenTables(tokenReport()));
