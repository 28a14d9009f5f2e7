import { err, type Result } from '@token-broker/foundation';
import { z } from 'zod';

/** Why a value is refused, and what to write instead. Never holds the value. */
export interface Refusal {
  readonly message: string;
  readonly hint?: string;
}

export function refuse(message: string, hint?: string): Result<never, Refusal> {
  return err(hint === undefined ? { message } : { message, hint });
}

/** What an editor shows for a setting (JSON Schema). */
export interface SettingSchema {
  readonly description: string;
  readonly [keyword: string]: unknown;
}

/**
 * One scalar setting: `parse` turns what the file holds into its meaning. A missing value never reaches it. Zod carries the
 * composition; the words of every refusal are ours, because zod's name types where an operator needs an example.
 */
export function setting<T>(schema: SettingSchema, parse: (input: unknown) => Result<T, Refusal>): Setting<T> {
  return z
    .unknown()
    .transform((input, context): T => {
      const parsed = input === undefined ? refuse('is required') : parse(input);
      if (parsed.ok) return parsed.value;
      context.addIssue({ code: 'custom', message: encodeRefusal(parsed.error) });
      return z.NEVER;
    })
    .meta(schema);
}

export type Setting<T> = z.ZodPipe<z.ZodUnknown, z.ZodTransform<T>>;

/** A mapping with these keys and no others. */
export function settings<Shape extends z.core.$ZodLooseShape>(
  description: string,
  shape: Shape,
): z.ZodObject<Shape, z.core.$strict> {
  const known = Object.keys(shape).join(' ');
  return z
    .strictObject(shape, {
      error: (issue) => (issue.code === 'unrecognized_keys' ? known : wrongKind('a mapping', issue.input)),
    })
    .meta({ description });
}

export function list<Item extends z.ZodType>(description: string, item: Item): z.ZodArray<Item> {
  return z.array(item, { error: (issue) => wrongKind('a list', issue.input) }).meta({ description });
}

/** Either of two shapes; `expected` says both in words. */
export function either<Options extends readonly [z.ZodType, ...z.ZodType[]]>(
  schema: SettingSchema,
  expected: string,
  options: Options,
): z.ZodUnion<Options> {
  return z.union(options, { error: (issue) => wrongKind(expected, issue.input) }).meta(schema);
}

export function wrongKind(expected: string, input: unknown): string {
  return input === undefined ? 'is required' : `expected ${expected}, got ${kindOf(input)}`;
}

function kindOf(input: unknown): string {
  if (input === null || input === undefined) return 'nothing';
  if (Array.isArray(input)) return 'a list';
  if (typeof input === 'object') return 'a mapping';
  if (typeof input === 'string') return 'text';
  return `a ${typeof input}`;
}

/** The settings of one mapping, each parsed, refused or absent. */
export type Values = Readonly<Record<string, unknown>>;

/** The settings of a value that should be a mapping; none where it is something else. */
export function valuesOf(value: unknown): Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Values) : {};
}

export type Report = (path: readonly (string | number)[], message: string, hint?: string) => void;

/**
 * A check across the settings of one mapping. It runs even when some of them were refused, so that one load reports all
 * problems: hence it sees values of any kind, and must look before it compares.
 */
export function crossCheck<Schema extends z.ZodType>(
  schema: Schema,
  check: (values: Values, report: Report) => void,
): Schema {
  return schema.superRefine(
    (value: unknown, context) => {
      if (typeof value !== 'object' || value === null) return;
      check(value as Values, (path, message, hint) => {
        const refusal = hint === undefined ? { message } : { message, hint };
        context.addIssue({ code: 'custom', path: [...path], message: encodeRefusal(refusal) });
      });
    },
    { when: () => true },
  );
}

/** Zod carries one text per issue: the hint travels on its second line. */
export function encodeRefusal({ message, hint }: Refusal): string {
  return hint === undefined ? message : `${message}\n${hint}`;
}

export function decodeRefusal(text: string): Refusal {
  const [message = '', hint] = text.split('\n');
  return hint === undefined ? { message } : { message, hint };
}
