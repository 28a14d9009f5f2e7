import { err, ok, type Result } from '@token-broker/foundation';
import type { z } from 'zod';
import { LIMITS } from './limits.js';

/** The schema of one message. */
export type MessageSchema = z.ZodType;
/** What a message of this schema is once it is decoded. */
export type MessageOf<S extends MessageSchema> = z.output<S>;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** Names through which an object that is copied carelessly reaches the prototype of all others. */
const FORBIDDEN_NAMES: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);
/** Text without any of these holds no such name, so that most messages need no walk; an escape may write any letter. */
const MAY_HOLD_FORBIDDEN_NAME = /__proto__|constructor|prototype|\\u/;

/** Unknown fields that an error names, and how much of each: the sender gets no echo of its own message. */
const NAMED_FIELDS = 3;
const NAMED_CHARACTERS = 64;

/** JSON as bytes; the only encoding of the protocol. */
export function encode(message: unknown): Uint8Array {
  return encoder.encode(JSON.stringify(message));
}

/**
 * Decodes one message strictly: size, UTF-8, JSON, depth and dangerous keys are checked before the schema is. The error
 * is one sentence for the sender; it repeats nothing of the message but the names of fields.
 *
 * @param isUsual for messages that come by the thousand: of which values it is sure that the schema takes them as they are, and
 * that they have no field that it does not name, at any depth. The schema judges all others
 */
export function decode<S extends MessageSchema>(
  schema: S,
  bytes: Uint8Array,
  maxBytes: number,
  isUsual?: (value: unknown) => value is MessageOf<S>,
): Result<MessageOf<S>, string> {
  const json = decodeJson(bytes, maxBytes);
  if (!json.ok) return json;
  const { text, value } = json.value;
  if (isUsual?.(value) === true) return ok(value);
  if (MAY_HOLD_FORBIDDEN_NAME.test(text) && hasForbiddenName(value))
    return err('the message has a field with a forbidden name');
  const parsed = schema.safeParse(value);
  if (parsed.success) return ok(parsed.data);
  const [issue] = parsed.error.issues;
  if (issue === undefined) return err('the message does not have the expected form');
  const path = issue.path.map(String).join('.');
  if (issue.code === 'unrecognized_keys') {
    const named = issue.keys.slice(0, NAMED_FIELDS).map((name) => JSON.stringify(name.slice(0, NAMED_CHARACTERS)));
    return err(`unknown field ${named.join(', ')}`);
  }
  return err(path === '' ? issue.message : `${path}: ${issue.message}`);
}

function decodeJson(bytes: Uint8Array, maxBytes: number): Result<{ text: string; value: unknown }, string> {
  if (bytes.length > maxBytes)
    return err(`the message has ${String(bytes.length)} bytes; the limit is ${String(maxBytes)}`);
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    return err('the message is not valid UTF-8');
  }
  if (mayBeDeep(text) && depthOf(text) > LIMITS.depth)
    return err(`the message is nested deeper than ${String(LIMITS.depth)} levels`);
  try {
    return ok({ text, value: JSON.parse(text) as unknown });
  } catch {
    return err('the message is not JSON');
  }
}

/** The depth was bounded before, so that this may recurse. */
function hasForbiddenName(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(([name, inner]) => FORBIDDEN_NAMES.has(name) || hasForbiddenName(inner));
}

/** Whether so much is opened at all, within strings or not. Looked for by the engine's own search: ten times as fast. */
function mayBeDeep(text: string): boolean {
  let opened = 0;
  for (const sign of ['{', '['])
    for (let at = text.indexOf(sign); at !== -1; at = text.indexOf(sign, at + 1))
      if (++opened > LIMITS.depth) return true;
  return false;
}

/** The depth of nesting, read from the text: the parser itself would recurse before anybody could count. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (inString) {
      if (code === 0x5c) i++;
      else if (code === 0x22) inString = false;
    } else if (code === 0x22) inString = true;
    else if (code === 0x7b || code === 0x5b) deepest = Math.max(deepest, ++depth);
    else if (code === 0x7d || code === 0x5d) depth--;
  }
  return deepest;
}
