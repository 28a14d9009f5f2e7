import { ok, parseDuration, Redacted } from '@token-broker/foundation';
import { IDENTIFIER_PATTERN } from '@token-broker/protocol';
import type { z } from 'zod';
import type { HostAndPort } from './configuration.js';
import { refuse, setting, wrongKind, type Setting, type SettingSchema } from './settings.js';
import { suggestion } from './suggestion.js';

/** Editors see the file before references are resolved: a value with `${` in it passes every pattern. */
const OR_REFERENCE = '|\\$\\{';

/** A control character: never meant, and a way to smuggle a header or a subject. */
const CONTROL = /\p{Cc}/u;

export function text(description: string, schema: Partial<SettingSchema> = {}): Setting<string> {
  return setting({ type: 'string', minLength: 1, ...schema, description }, (input) => {
    if (typeof input !== 'string') return refuse(wrongKind('text', input), quotes(input));
    if (input === '') return refuse('is empty');
    return CONTROL.test(input) ? refuse('holds a control character') : ok(input);
  });
}

/** Text that is never printed again, and that may have several lines. */
export function secret(description: string): Setting<Redacted> {
  return setting({ type: 'string', minLength: 1, writeOnly: true, description }, (input) => {
    if (typeof input !== 'string') return refuse(wrongKind('text', input), quotes(input));
    return input.trim() === '' ? refuse('the secret is empty') : ok(new Redacted(input));
  });
}

function quotes(input: unknown): string | undefined {
  return typeof input === 'number' || typeof input === 'boolean' ? 'put it in quotes' : undefined;
}

export const IDENTIFIER_RULE = 'a name is 1 to 64 of A-Z a-z 0-9 _ -';

export function identifier(description: string): Setting<string> {
  return setting({ type: 'string', pattern: `${IDENTIFIER_PATTERN.source}${OR_REFERENCE}`, description }, (input) => {
    if (typeof input !== 'string') return refuse(wrongKind('text', input), quotes(input));
    return IDENTIFIER_PATTERN.test(input) ? ok(input) : refuse('is not a possible name', IDENTIFIER_RULE);
  });
}

/** One of a few words. */
export function choice<const Word extends string>(description: string, words: readonly Word[]): Setting<Word> {
  return setting({ enum: words, description }, (input) => {
    if (typeof input !== 'string') return refuse(wrongKind(`one of ${words.join(', ')}`, input));
    const word = words.find((candidate) => candidate === input);
    return word === undefined ? refuse(`expected one of: ${words.join(', ')}`, suggestion(input, words)) : ok(word);
  });
}

export function flag(description: string): Setting<boolean> {
  return setting({ type: ['boolean', 'string'], pattern: `^(true|false)$${OR_REFERENCE}`, description }, (input) => {
    if (input === true || input === 'true') return ok(true);
    if (input === false || input === 'false') return ok(false);
    return refuse(typeof input === 'string' ? 'expected true or false' : wrongKind('true or false', input));
  });
}

/** A whole number; text of digits too, because a reference always gives text. */
export function integer(
  description: string,
  { min, max }: { readonly min: number; readonly max: number },
): Setting<number> {
  const expected = `a whole number from ${String(min)} to ${String(max)}`;
  const schema = {
    type: ['integer', 'string'],
    minimum: min,
    maximum: max,
    pattern: `^[0-9]+$${OR_REFERENCE}`,
    description,
  };
  return setting(schema, (input) => {
    const value = typeof input === 'string' && /^\d+$/.test(input) ? Number(input) : input;
    if (typeof value === 'string') return refuse(`expected ${expected}`);
    if (typeof value !== 'number') return refuse(wrongKind(expected, value));
    return Number.isSafeInteger(value) && value >= min && value <= max ? ok(value) : refuse(`expected ${expected}`);
  });
}

export interface DurationRange {
  /** Default `1ms`. */
  readonly min?: string;
  /** Default `365d`. Timers need at most 24 days. */
  readonly max?: string;
}

/** A duration with its unit, in milliseconds. */
export function duration(description: string, { min = '1ms', max = '365d' }: DurationRange = {}): Setting<number> {
  const schema = { type: 'string', pattern: `^([0-9]+(\\.[0-9]+)?(ms|s|m|h|d))+$${OR_REFERENCE}`, description };
  return setting(schema, (input) => {
    if (typeof input === 'number') return refuse(reasonAgainst(String(input)));
    if (typeof input !== 'string') return refuse(wrongKind('a duration such as "5s"', input));
    const ms = parseDuration(input);
    if (!ms.ok) return refuse(ms.error);
    if (ms.value < millisecondsOf(min)) return refuse(`is too short: at least ${min}`);
    return ms.value > millisecondsOf(max) ? refuse(`is too long: at most ${max}`) : ok(ms.value);
  });
}

function reasonAgainst(written: string): string {
  const parsed = parseDuration(written);
  return parsed.ok ? 'the unit is missing: write a number and a unit, such as "5s"' : parsed.error;
}

/** For durations in this package's own source. */
export function millisecondsOf(written: string): number {
  const parsed = parseDuration(written);
  if (!parsed.ok) throw new Error(`not a duration: ${written}`);
  return parsed.value;
}

const BYTES: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

/** A size in bytes: a number, or text such as `64MiB`. */
export function bytes(description: string): Setting<number> {
  const expected = 'a size such as 1048576 or "64MiB" (units: B, KiB, MiB, GiB)';
  const schema = {
    type: ['integer', 'string'],
    minimum: 1,
    pattern: `^[0-9]+(\\.[0-9]+)?(B|KiB|MiB|GiB)?$${OR_REFERENCE}`,
    description,
  };
  return setting(schema, (input) => {
    if (typeof input !== 'string' && typeof input !== 'number') return refuse(wrongKind(expected, input));
    const [, amount, unit = 'B'] = /^(\d+(?:\.\d+)?)(B|KiB|MiB|GiB)?$/.exec(String(input)) ?? [];
    const size = Math.round(Number(amount) * (BYTES[unit] ?? Number.NaN));
    return Number.isSafeInteger(size) && size > 0 ? ok(size) : refuse(`expected ${expected}`);
  });
}

/** `host:port`, `[::1]:port` or, with a default port, `host`. */
export function hostAndPort(description: string, defaultPort: number): Setting<HostAndPort> {
  return setting({ type: 'string', description }, (input) => {
    if (typeof input !== 'string') return refuse(wrongKind('host:port', input));
    const parsed = parseHostAndPort(input, defaultPort);
    return parsed !== undefined && parsed.host !== '' && parsed.port > 0
      ? ok(parsed)
      : refuse('expected host:port', `such as "redis-1:${String(defaultPort)}" or "[::1]:${String(defaultPort)}"`);
  });
}

/** Undefined when the text is not of that form. An empty host is left to the caller to judge. */
export function parseHostAndPort(written: string, defaultPort?: number): HostAndPort | undefined {
  const [, bracketed, plain, digits] =
    /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]*))(?::(\d{1,5}))?$/.exec(written) ?? [];
  const port = digits === undefined ? defaultPort : Number(digits);
  if (port === undefined || port > 65_535 || written === '') return undefined;
  return { host: bracketed ?? plain ?? '', port };
}

/** The setting, and the value that it has when the file does not name it: written as in the file, shown in the schema. */
export function withDefault<T>(schema: Setting<T>, value: string | number | boolean): z.ZodPrefault<Setting<T>> {
  return schema.prefault(value);
}
