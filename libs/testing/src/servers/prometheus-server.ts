import { locatePrometheus } from './server-binaries.js';
import { startServer, type ServerHandle, type ServerOptions } from './server-handle.js';
import type { ServerRecipe } from './server-instance.js';

/** Above the time that a query of a small server takes, by far. */
const ANSWER_LIMIT_MS = 10_000;

/** How to start a Prometheus server. */
export interface PrometheusOptions extends ServerOptions {
  /** What is scraped: the addresses (`127.0.0.1:9464`) of each job. */
  readonly jobs: Readonly<Record<string, readonly string[]>>;
  /** Rule files, absolute. Default: none. */
  readonly ruleFiles?: readonly string[];
  /** Between two scrapes, and between two evaluations of the rules. Default: 1 s, the least that is reliable. */
  readonly intervalSeconds?: number;
}

/** One series of a query's answer. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Values of a series over time. */
export interface Curve {
  readonly labels: Readonly<Record<string, string>>;
  /** Seconds since the epoch, and the value then. */
  readonly points: readonly (readonly [atSeconds: number, value: number])[];
}

/** A rule as the server has last evaluated it. */
export interface EvaluatedRule {
  readonly name: string;
  readonly type: 'alerting' | 'recording';
  readonly health: string;
  readonly lastError?: string;
}

/** A Prometheus server that was started by this process. */
export interface Prometheus extends ServerHandle {
  /**
   * The answer to an instant query, now.
   *
   * @throws {Error} with the words of the server where it refuses the query
   */
  query(expr: string): Promise<readonly Sample[]>;
  /** The answer to a query over time, from `startSeconds` to `endSeconds` (since the epoch), one value each second. */
  queryRange(expr: string, startSeconds: number, endSeconds: number): Promise<readonly Curve[]>;
  rules(): Promise<readonly EvaluatedRule[]>;
}

/**
 * Starts a Prometheus server on a free port of 127.0.0.1, with its data in a temporary directory, and waits until it
 * answers.
 *
 * @throws {ServerUnavailableError} where there is none, and none can be got
 * @throws {ServerStartError} where it refuses its configuration or its rules
 */
export async function startPrometheus(options: PrometheusOptions): Promise<Prometheus> {
  const { jobs, ruleFiles = [], intervalSeconds = 1 } = options;
  const interval = `${String(intervalSeconds)}s`;
  await locatePrometheus(options.report);
  const recipe: ServerRecipe = {
    containerPort: 9090,
    readyLine: /Server is ready to receive web requests/,
    portLine: undefined,
    args: (configurationPath, { host, port, directory }) => [
      `--config.file=${configurationPath}`,
      `--storage.tsdb.path=${directory}`,
      `--web.listen-address=${host}:${String(port)}`,
    ],
    // JSON is YAML.
    configuration: () =>
      JSON.stringify({
        global: { scrape_interval: interval, scrape_timeout: interval, evaluation_interval: interval },
        rule_files: ruleFiles,
        scrape_configs: Object.entries(jobs).map(([name, targets]) => ({
          job_name: name,
          static_configs: [{ targets }],
        })),
      }),
  };
  const { handle } = await startServer('prometheus', recipe, (address) => `http://${address}`, options);
  const ask = async (path: string, parameters: Readonly<Record<string, string>> = {}): Promise<unknown> => {
    const reply = await fetch(`${handle.url}/api/v1/${path}`, {
      method: path === 'rules' ? 'GET' : 'POST',
      ...(path === 'rules' ? {} : { body: new URLSearchParams(parameters) }),
      signal: AbortSignal.timeout(ANSWER_LIMIT_MS),
    });
    const { status, data, error } = (await reply.json()) as { status: string; data: unknown; error?: string };
    if (status !== 'success') throw new Error(`${error ?? 'refused'}: ${parameters['query'] ?? path}`);
    return data;
  };

  return Object.assign(handle, {
    async query(expr: string) {
      const { resultType, result } = (await ask('query', { query: expr })) as QueryData;
      if (resultType !== 'vector') throw new Error(`not a vector but a ${resultType}: ${expr}`);
      return result.map(({ metric, value = [0, 'NaN'] }) => ({ labels: metric, value: Number(value[1]) }));
    },
    async queryRange(expr: string, startSeconds: number, endSeconds: number) {
      const range = { start: String(startSeconds), end: String(endSeconds), step: '1' };
      const { result } = (await ask('query_range', { query: expr, ...range })) as QueryData;
      return result.map(({ metric, values = [] }) => ({
        labels: metric,
        points: values.map(([atSeconds, value]): [number, number] => [atSeconds, Number(value)]),
      }));
    },
    async rules() {
      const { groups } = (await ask('rules')) as { groups: { rules: EvaluatedRule[] }[] };
      return groups.flatMap(({ rules }) => rules);
    },
  });
}

interface QueryData {
  readonly resultType: string;
  readonly result: readonly {
    readonly metric: Readonly<Record<string, string>>;
    readonly value?: readonly [number, string];
    readonly values?: readonly (readonly [number, string])[];
  }[];
}
