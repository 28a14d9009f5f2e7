import type { AuditEvent, AuditRecord } from '@token-broker/protocol';

/** What happened; the trail adds who writes it, when, and its id. Never a token or a secret. */
export interface AuditEntry {
  readonly event: AuditEvent;
  /** The caller or operator. */
  readonly by: string;
  readonly source?: string;
  readonly slot?: string;
  readonly generation?: number;
  readonly selector?: string;
  readonly revocation?: string;
  readonly reason?: string;
  readonly result?: NonNullable<AuditRecord['result']>;
  readonly traceId?: string;
  readonly facts?: Readonly<Record<string, string | number | boolean>>;
}

/** The audit trail: append-only, one schema (`AuditRecord`), to wherever the configuration says. */
export interface Audit {
  /** Takes note, at once. What does not fit into the queue is counted and said, never waited for. */
  note(entry: AuditEntry): void;
  /**
   * Resolves `true` when the record is safe wherever it belongs, such as synced to disk; `false` when it is not known to be
   * within two seconds, or the trail cannot be written at all. Then it is still tried. Never rejects.
   */
  write(entry: AuditEntry): Promise<boolean>;
}

/** A record, and the text that it is written as: JSON without a line break. */
export interface AuditLine {
  readonly record: AuditRecord;
  readonly text: string;
}

/** A place that records go to. */
export interface AuditDestination {
  readonly name: 'stdout' | 'file' | 'stream';
  /**
   * Appends records, in order; with `durable`, resolves when they are safe. Rejects where it is not known that all of them
   * are: then the same ones are offered again, so that some may be there twice. Not called again before it has ended.
   */
  deliver(lines: readonly AuditLine[], durable: boolean): Promise<void>;
  /** The file was moved away: the next record goes to a new one. */
  reopen?(): void;
  close(): Promise<void>;
}
