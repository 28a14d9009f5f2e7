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
