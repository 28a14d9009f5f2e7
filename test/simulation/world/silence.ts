import type { Audit, Log, LogFields, Metrics } from '@token-broker/broker/simulation';

/** Metrics that nobody reads. */
export const NO_METRICS = new Proxy({} as Metrics, {
  get: (_, name) => (name === 'hitCounter' ? () => () => undefined : () => undefined),
});

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
  };
}

/** An audit trail that is always written, as notes in a timeline where there is one. */
export function auditTo(note: ((text: string) => void) | undefined): Audit {
  const write = (entry: object): void => note?.(`audit ${JSON.stringify(entry)}`);
  return {
    note: write,
    write(entry) {
      write(entry);
      return Promise.resolve(true);
    },
  };
}
