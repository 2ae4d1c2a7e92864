import { chmodSync, createReadStream, createWriteStream, existsSync } from 'node:fs';
