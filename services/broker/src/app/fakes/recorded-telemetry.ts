import type { Log, LogFields, Metrics } from '../ports/telemetry.js';

/** What was logged, line by line. */
export class RecordedLog implements Log {
  readonly lines: { readonly level: string; readonly message: string; readonly fields: LogFields }[] = [];

  debug(message: string, fields: LogFields = {}): void {
    this.lines.push({ level: 'debug', message, fields });
  }
  info(message: string, fields: LogFields = {}): void {
    this.lines.push({ level: 'info', message, fields });
  }
  warn(message: string, fields: LogFields = {}): void {
    this.lines.push({ level: 'warn', message, fields });
  }
  error(message: string, fields: LogFields = {}): void {
    this.lines.push({ level: 'error', message, fields });
  }
  audit(message: string, fields: LogFields = {}): void {
    this.lines.push({ level: 'audit', message, fields });
  }
}

/** What was counted, call by call: the name and its arguments. */
export class RecordedMetrics {
  readonly calls: (readonly [keyof Metrics, ...unknown[]])[] = [];
  readonly metrics: Metrics = new Proxy({} as Metrics, {
    get:
      (_, name) =>
      (...values: unknown[]) =>
        this.calls.push([name as keyof Metrics, ...values]),
  });

  /** How often `name` was counted, with these first arguments. */
  count(name: keyof Metrics, ...first: readonly unknown[]): number {
    return this.calls.filter(([of, ...values]) => of === name && first.every((value, i) => value === values[i])).length;
  }
}
