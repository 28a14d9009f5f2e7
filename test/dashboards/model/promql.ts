/** What the dashboards ask of Prometheus again and again. `$job` is the deployment that is looked at. */

const PREFIX = 'token_broker_';

/** A metric of the brokers, without the prefix. `matchers`: further ones, such as `outcome!="ok"`. */
export function broker(metric: string, matchers = ''): string {
  return `${PREFIX}${metric}{job="$job"${matchers === '' ? '' : `, ${matchers}`}}`;
}

/** Metrics of the brokers where this holds too, such as `source="$source"`. */
export function brokerWhere(chosen: string): (metric: string, matchers?: string) => string {
  return (metric, matchers = '') => broker(metric, matchers === '' ? chosen : `${chosen}, ${matchers}`);
}

/** A metric of the services' near caches, whose jobs are their own. */
export function nearCache(metric: string): string {
  return `${PREFIX}client_${metric}`;
}

/** Growth of a counter in a second, averaged over what is short enough for the resolution of the picture. */
export function rate(counter: string): string {
  return `rate(${counter}[$__rate_interval])`;
}

/**
 * By how much a counter has grown in the time that is looked at. A series that is younger counts whole: it was born with
 * the first event, which `increase` does not see, and of rare events the first is the one that matters.
 */
export function grown(counter: string): string {
  return growthIn('$__range', counter);
}

/** As {@link grown}, since a little before each point of a curve: for rare events over time. */
export function lately(counter: string): string {
  return growthIn('$__rate_interval', counter);
}

function growthIn(range: string, counter: string): string {
  return `((${counter} unless ${counter} offset ${range}) or increase(${counter}[${range}]))`;
}

export function sumBy(labels: string, vector: string): string {
  return labels === '' ? `sum(${vector})` : `sum by (${labels}) (${vector})`;
}

/** Of what is the same on every replica. */
export function maxBy(labels: string, vector: string): string {
  return labels === '' ? `max(${vector})` : `max by (${labels}) (${vector})`;
}

/** `histogram`: without `_bucket`. `growth`: {@link rate}, or {@link grown} of what seldom happens. */
export function quantile(
  q: number,
  labels: string,
  growth: (counter: string) => string,
  bucketsOf: (suffix: '_bucket') => string,
): string {
  const by = labels === '' ? 'le' : `${labels}, le`;
  return `histogram_quantile(${String(q)}, sum by (${by}) (${growth(bucketsOf('_bucket'))}))`;
}

/** Nothing where it is 0: see {@link Panel.isFault}. */
export function ifAny(vector: string): string {
  return `${vector} > 0`;
}
