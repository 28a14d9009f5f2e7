import type { Audit, AuditEntry } from '../ports/audit.js';
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
}

/** What the audit trail was told, and whether it can be written. */
export class RecordedAudit implements Audit {
  readonly entries: AuditEntry[] = [];
  /** What {@link Audit.write} answers; a test may hold it up. */
  isWritable: boolean | Promise<boolean> = true;

  note(entry: AuditEntry): void {
    this.entries.push(entry);
  }

  write(entry: AuditEntry): Promise<boolean> {
    this.entries.push(entry);
    return Promise.resolve(this.isWritable);
  }

  of(event: AuditEntry['event']): AuditEntry[] {
    return this.entries.filter((entry) => entry.event === event);
  }
}

/** What was counted, call by call: the name and its arguments. */
export class RecordedMetrics {
  readonly calls: (readonly [keyof Metrics, ...unknown[]])[] = [];
  readonly metrics: Metrics = new Proxy({} as Metrics, {
    get: (_, name) => {
      if (name === 'hitCounter')
        return (source: string, caller: string) => () => {
          this.calls.push(['requestServed', source, caller, 'memory', 'ok', 0], ['callSaved', source]);
        };
      return (...values: unknown[]) => this.calls.push([name as keyof Metrics, ...values]);
    },
  });

  /** How often `name` was counted, with these first arguments. */
  count(name: keyof Metrics, ...first: readonly unknown[]): number {
    return this.calls.filter(([of, ...values]) => of === name && first.every((value, i) => value === values[i])).length;
  }
}
