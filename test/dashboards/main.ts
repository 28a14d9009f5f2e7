/** Writes the dashboards that Grafana reads: `npm run dashboards`. */
import { writeFile } from 'node:fs/promises';
import { dashboards } from './definitions/all.js';
import { fileOf } from './files.js';
import { grafanaJson } from './model/grafana-json.js';

for (const dashboard of dashboards) {
  const file = fileOf(dashboard);
  await writeFile(file, grafanaJson(dashboard));
  console.log(file);
}
