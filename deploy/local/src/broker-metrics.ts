/** A sample of a `/metrics` page. */
export interface MetricSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Reads the samples of the Prometheus text format; without escapes in label values, which ours here do not have. */
export function parseMetrics(page: string): MetricSample[] {
  return page.split('\n').flatMap((line) => {
    const [, name, labels = '', value] = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (name === undefined || value === undefined) return [];
    const pairs = [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = '', text = '']) => [key, text] as const);
    return [{ name, labels: Object.fromEntries(pairs), value: Number(value) }];
  });
}

/** The sum of the samples of a name whose labels have at least these values. */
export function sumOf(
  samples: readonly MetricSample[],
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number {
  return samples
    .filter((sample) => sample.name === name)
    .filter((sample) => Object.entries(labels).every(([key, value]) => sample.labels[key] === value))
    .reduce((sum, { value }) => sum + value, 0);
}

/** The samples of several brokers' pages, together. */
export async function scrape(httpUrls: readonly string[]): Promise<MetricSample[]> {
  const pages = await Promise.all(
    httpUrls.map(async (url) => {
      const response = await fetch(`${url}/metrics`);
      if (!response.ok) throw new Error(`${url}/metrics answers ${String(response.status)}`);
      return response.text();
    }),
  );
  return pages.flatMap(parseMetrics);
}
