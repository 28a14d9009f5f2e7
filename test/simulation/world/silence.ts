import type { Log, LogFields, Metrics } from '@token-broker/broker/simulation';

/** Metrics that nobody reads. */
export const NO_METRICS = new Proxy({} as Metrics, { get: () => () => undefined });

/** The broker's log, as notes in a timeline where there is one. */
export function logTo(note: ((text: string) => void) | undefined): Log {
  const write =
    (level: string) =>
    (message: string, fields: LogFields = {}): void => {
      note?.(`${level} ${message} ${JSON.stringify(fields)}`);
    };
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    audit: write('audit'),
  };
}
