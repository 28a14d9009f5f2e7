import { auditRecordSchema, type AuditRecord } from '@token-broker/protocol';

/** A line that is longer holds no record. */
const MAX_LINE_CHARACTERS = 64 * 1024;
/** Records that are remembered: a broker may write one twice, one soon after the other. */
const REMEMBERED = 10_000;

/** Finds records in text that comes in pieces: lines of the log among them, and lines that a crash has cut, are skipped. */
export class AuditLines {
  readonly #seen = new Set<string>();
  #rest = '';

  *take(text: string): Generator<AuditRecord> {
    const lines = `${this.#rest}${text}`.split('\n');
    const rest = lines.pop() ?? '';
    this.#rest = rest.length > MAX_LINE_CHARACTERS ? '' : rest;
    for (const line of lines) {
      const record = this.#recordIn(line);
      if (record !== undefined) yield record;
    }
  }

  /** What stands behind the last line break. */
  *end(): Generator<AuditRecord> {
    const record = this.#recordIn(this.#rest);
    this.#rest = '';
    if (record !== undefined) yield record;
  }

  #recordIn(line: string): AuditRecord | undefined {
    // Most lines of a log are none.
    if (!line.includes('"audit":') || line.length > MAX_LINE_CHARACTERS) return undefined;
    const parsed = auditRecordSchema.safeParse(jsonOf(line));
    if (!parsed.success || this.#seen.has(parsed.data.id)) return undefined;
    if (this.#seen.size >= REMEMBERED) this.#seen.clear();
    this.#seen.add(parsed.data.id);
    return parsed.data;
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
