import { z } from 'zod';
import { IDENTIFIER_PATTERN, PRINTABLE_PATTERN, SLOT_PATTERN } from './identifiers.js';
import { LIMITS } from './limits.js';

/** The version of the protocol in a body. It may be left out; any other is refused. */
export const version = z.literal(1, { error: 'unsupported version; this broker speaks version 1' });

export const identifier = z.string().regex(IDENTIFIER_PATTERN, 'must match [A-Za-z0-9_-]{1,64}');
export const slot = z.string().regex(SLOT_PATTERN, 'is not a slot');
/** Epochs, generations and sequence numbers: integers that a double holds exactly. */
export const ordinal = z.int({ error: 'must be an integer' }).min(0);
export const milliseconds = z.int({ error: 'must be an integer number of milliseconds' }).min(0);
export const partition = z.int().min(0).max(1_023);

/** One scope (RFC 6749 §3.3: no space, quote, backslash or control character). */
export const scopeToken = z
  .string()
  .max(LIMITS.parameterCharacters, `must have at most ${String(LIMITS.parameterCharacters)} characters`)
  .regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, 'is not a scope (RFC 6749 §3.3)');

/** A token that somebody gives: visible ASCII, so that a newline can stand between two of them. */
export const givenToken = z
  .string()
  .min(1, 'is empty')
  .max(LIMITS.subjectTokenCharacters, `must have at most ${String(LIMITS.subjectTokenCharacters)} characters`)
  .regex(/^[\x21-\x7e]+$/, 'is not a token: it holds other characters than visible ASCII');

/** An audience or a resource: printable, compared exactly. */
export const parameter = z
  .string()
  .min(1)
  .max(LIMITS.parameterCharacters, `must have at most ${String(LIMITS.parameterCharacters)} characters`)
  .regex(PRINTABLE_PATTERN, 'must not hold control characters');

/** Whom a credential lets in, where it is the user's part of a pair. */
export const username = z
  .string()
  .min(1)
  .max(LIMITS.usernameCharacters)
  .regex(PRINTABLE_PATTERN, 'must not hold control characters');

/** Why an operator does something, in words of a person: for the audit trail. */
export const reason = z.string().max(500).regex(/\S/, 'is empty');
