/** Writes `schema.json` of this package; `npm run schema` formats it afterwards. */
import { writeFileSync } from 'node:fs';
import { configurationJsonSchema } from './json-schema.js';

writeFileSync(
  new URL('../schema.json', import.meta.url),
  `${JSON.stringify(configurationJsonSchema(), undefined, 2)}\n`,
);
