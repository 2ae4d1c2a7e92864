/**
 * `yarn bench:tokens [--json]`: what the model is sent, in tokens of a real tokenizer (o200k), by part. Needs no servers and
 * gives the same figures everywhere.
 */
import { parseArgs } from 'node:util';
import { tokenReport, tokenTables } from './tokens/report.ts';

const { values } = parseArgs({ options: { json: { type: 'boolean', default: false } } });
const report = tokenReport();
console.log(values.json ? JSON.stringify(report, null, 2) : tokenTables(report));
