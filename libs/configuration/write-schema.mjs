// Writes schema.json beside this file; `npm run schema` builds before and formats afterwards.
import { writeFileSync } from 'node:fs';
import { configurationJsonSchema } from './dist/index.js';

writeFileSync(new URL('schema.json', import.meta.url), `${JSON.stringify(configurationJsonSchema(), undefined, 2)}\n`);
