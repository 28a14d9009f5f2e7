/**
 * Draws every dashboard over a real run: brokers, a service and a Prometheus on this machine, to which everything happens
 * that a dashboard can show. `npm run dashboards:pictures` writes docs/dashboards/*.svg; it takes about a minute.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createSystemClock } from '@token-broker/foundation';
import { dashboards } from '../definitions/all.js';
import { CAUSES } from '../live/causes.js';
import { startDeployment, type Deployment } from '../live/deployment.js';
import { createLooking } from '../live/looking.js';
import { allTargets, filledIn } from '../live/targets.js';
import { panelsOf, type Dashboard, type Panel } from '../model/dashboard.js';
import { svgOf, type DrawnPanel, type Moment } from './plot.js';

const DIRECTORY = fileURLToPath(new URL('../../../docs/dashboards', import.meta.url));
/** Of the dashboard of one source. */
const CHOSEN = 'calm';

const clock = createSystemClock();
const nowSeconds = (): number => clock.wallMs() / 1_000;

const deployment = await startDeployment();
try {
  const looking = createLooking(deployment, await allTargets());
  const fromSeconds = nowSeconds();
  const moments: Moment[] = [];
  // Without brokers, there is nothing more to draw.
  for (const cause of CAUSES.slice(0, -1)) {
    moments.push({ atSeconds: nowSeconds(), what: cause.what });
    await cause.happens(deployment);
    const unseen = await looking.untilSeen(cause);
    if (unseen.length > 0) throw new Error(`no data after ${cause.what}: ${unseen.join(', ')}`);
    await cause.ends?.(deployment);
  }
  const times = { fromSeconds, toSeconds: nowSeconds() };
  await mkdir(DIRECTORY, { recursive: true });
  for (const dashboard of dashboards) {
    const panels = await Promise.all(panelsOf(dashboard).map((panel) => drawn(deployment, dashboard, panel, times)));
    const file = join(DIRECTORY, `${dashboard.uid}.svg`);
    await writeFile(file, svgOf({ title: dashboard.title, panels, moments, ...times }));
    console.log(file);
  }
} finally {
  await deployment.stop();
}
// What a library may have left open must not keep this process: everything that was started has been stopped.
process.exit(0);

async function drawn(
  { prometheus }: Deployment,
  { uid }: Dashboard,
  panel: Panel,
  { fromSeconds, toSeconds }: { readonly fromSeconds: number; readonly toSeconds: number },
): Promise<DrawnPanel> {
  const source = uid === 'token-broker-source' ? CHOSEN : '.*';
  const isOverTime = panel.draws === 'lines' || panel.draws === 'stacked';
  const curves: DrawnPanel['curves'][number][] = [];
  const values: DrawnPanel['values'][number][] = [];
  for (const { expr, legend } of panel.queries) {
    const query = filledIn(expr, source);
    if (isOverTime)
      for (const { labels, points } of await prometheus.queryRange(query, fromSeconds, toSeconds))
        curves.push({ name: named(legend, labels), points: points.filter(([, value]) => Number.isFinite(value)) });
    else
      for (const { labels, value } of await prometheus.query(query))
        values.push({ name: named(legend, labels), value });
  }
  return { panel, curves: curves.filter(({ points }) => points.length > 0), values };
}

function named(legend: string, labels: Readonly<Record<string, string>>): string {
  return legend.replaceAll(/\{\{(\w+)\}\}/g, (_, label: string) => labels[label] ?? '').trim();
}
