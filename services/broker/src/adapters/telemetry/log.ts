import type { Clock, Redacted } from '@token-broker/foundation';
import { pino } from 'pino';
import type { Log, LogFields } from '../../app/ports/telemetry.js';
import { createLineLimit, type LineLimit } from './line-limit.js';
import { createSecretMask } from './secret-mask.js';

type Level = 'debug' | 'info' | 'warn' | 'error';

const LEVELS: readonly Level[] = ['debug', 'info', 'warn', 'error'];

/** A longer text is cut: a log line is no place for a whole reply. */
const MAX_TEXT_CHARACTERS = 4_096;

export interface LogOptions {
  /** Lines below it are not written. */
  readonly level: Level;
  readonly clock: Clock;
  /** Takes one JSON line with its line break. Default: standard output. */
  readonly write?: (line: string) => void;
  /** Stands in every line as `name`. */
  readonly name: string;
  /** Further fields of every line, such as the broker's id. */
  readonly bindings?: LogFields;
}

/** {@link Log} as JSON lines, with what its owner needs beside it. */
export interface JsonLog extends Log {
  /** From now on no line shows this value. For every secret of the configuration, at load and reload. */
  registerSecret(secret: string | Redacted): void;
  /** A text without registered secrets, and without what looks like a token. */
  mask(text: string): string;
  /** Writes a line of another kind to where the lines go: records of the audit trail. */
  writeLine(line: string): void;
  /** Says what was left out so far. For the end of the process. */
  flush(): void;
}

/**
 * JSON lines: `level`, `time` (ISO 8601), `name`, the bindings, the fields, `msg`. Of one
 * message at most 20 lines in 10 s are written, then one line says how many more there were. Secrets are masked in
 * every text as the last defence; the first is not to log them.
 */
export function createLog(options: LogOptions): JsonLog {
  const { clock, write, name, bindings = {} } = options;
  const mask = createSecretMask();
  const output = write === undefined ? pino.destination(1) : { write };
  const logger = pino(
    {
      level: 'debug',
      base: null,
      timestamp: () => `,"time":"${new Date(clock.wallMs()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    output,
  );

  const clean = (text: string): string => {
    const masked = mask.apply(text);
    return masked.length <= MAX_TEXT_CHARACTERS ? masked : `${masked.slice(0, MAX_TEXT_CHARACTERS)}…`;
  };
  const cleanFields = (fields: LogFields): Record<string, unknown> => {
    const cleaned: Record<string, unknown> = {};
    for (const [key, value] of Object.entries(fields)) {
      if (typeof value === 'string') cleaned[fieldName(key)] = clean(value);
      else if (Array.isArray(value)) cleaned[fieldName(key)] = value.map((text) => clean(String(text)));
      else cleaned[fieldName(key)] = value;
    }
    return cleaned;
  };
  const line = (level: Level, message: string, fields: LogFields): void => {
    logger[level]({ name, ...cleanFields(bindings), ...cleanFields(fields) }, clean(message));
  };

  const limits = Object.fromEntries(
    LEVELS.map((level) => [
      level,
      createLineLimit(clock, (message, leftOut) =>
        line(level, `${String(leftOut)} more like this`, { message, leftOut }),
      ),
    ]),
  ) as Record<Level, LineLimit>;

  const leveled = (level: Level): Log[Level] => {
    if (LEVELS.indexOf(level) < LEVELS.indexOf(options.level)) return () => undefined;
    return (message, fields = {}) => {
      if (limits[level].admit(message)) line(level, message, fields);
    };
  };

  return {
    debug: leveled('debug'),
    info: leveled('info'),
    warn: leveled('warn'),
    error: leveled('error'),
    registerSecret: (secret) => mask.registerSecret(secret),
    mask: (text) => mask.apply(text),
    writeLine: (text) => void output.write(text),
    flush() {
      for (const level of LEVELS) limits[level].flush();
    },
  };
}

/** Names that the line itself uses: a field of that name would make a second key, and readers differ on which counts. */
const TAKEN = new Set(['level', 'time', 'name', 'msg', 'audit']);

function fieldName(key: string): string {
  return TAKEN.has(key) ? `${key}_` : key;
}
