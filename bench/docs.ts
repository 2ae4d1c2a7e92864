/** `bin/yarn bench:docs`: makes the tables and pictures of docs/performance.md anew from docs/bench/*.json. */
import { writeDocuments } from './results/folder.ts';

await writeDocuments();
