import { LIMITS } from './limits.js';

/** Callers, sources, brokers and encryption keys are named by this. Safe as one token of a NATS subject. */
export const IDENTIFIER_PATTERN = /^[A-Za-z0-9_-]{1,64}$/;

/** A slot's name: 128 bits in base64url. */
export const SLOT_PATTERN = /^[A-Za-z0-9_-]{22}$/;

export function isIdentifier(text: string): boolean {
  return IDENTIFIER_PATTERN.test(text);
}

export function isSlot(text: string): boolean {
  return SLOT_PATTERN.test(text);
}

/** Any text without control characters: nothing that could break out of a header or a log line. */
// eslint-disable-next-line no-control-regex -- control characters are what is refused
export const PRINTABLE_PATTERN = /^[^\x00-\x1f\x7f]+$/;

/** Whom a credential lets in, where it is the user's part of a pair. */
export function isUsername(text: string): boolean {
  return text.length <= LIMITS.usernameCharacters && PRINTABLE_PATTERN.test(text);
}
