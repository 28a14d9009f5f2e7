import { dashboards } from '../definitions/all.js';
import { readRules } from '../files.js';
import { panelsOf } from '../model/dashboard.js';

/** Something that Prometheus is asked: a panel, or a rule. */
export interface Target {
  /** `overview: Calls`, `alert TokenBrokerStoreDown`, or the name of a recording rule. */
  readonly name: string;
  /**
   * Each has an answer once the cause has come. `$source` stands in those of the dashboard of one source.
   */
  readonly queries: readonly string[];
}

/** Short enough for a counter that is scraped each second to be seen to move, and to be seen to have stopped. */
const RATE_INTERVAL = '4s';
const RANGE = '1h';

/** Every panel and every rule. */
export async function allTargets(): Promise<ReadonlyMap<string, Target>> {
  const panels = dashboards.flatMap((dashboard) =>
    panelsOf(dashboard).map(({ title, queries }) => ({
      name: `${dashboard.uid.replace('token-broker-', '')}: ${title}`,
      queries: queries.map(({ expr }) => expr),
    })),
  );
  const rules = (await readRules()).map(({ alert, record = '', expr }) => ({
    name: alert === undefined ? record : `alert ${alert}`,
    // Of a recording rule, what it has recorded; of an alert, its expression, without the time that it waits.
    queries: [alert === undefined ? record : expr],
  }));
  const targets = [...panels, ...rules];
  const byName = new Map(targets.map((target) => [target.name, target]));
  if (byName.size !== targets.length) throw new Error('two targets have the same name');
  return byName;
}

/** What Grafana does with the variables of a query. */
export function filledIn(expr: string, source: string): string {
  return expr
    .replaceAll('$__rate_interval', RATE_INTERVAL)
    .replaceAll('$__range', RANGE)
    .replaceAll('$job', 'token-broker')
    .replaceAll('$source', source);
}
