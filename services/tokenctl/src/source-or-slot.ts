import { isIdentifier, isSlot, TokenBrokerError } from '@token-broker/protocol';
import { usageFailure } from './command-failure.js';

/** What a command is about: a slot looks like a name too, so that a source of such a name counts first. */
export type SourceOrSlot = { readonly source: string } | { readonly slot: string };

/** @throws {CommandFailure} that does not repeat the text: it may be a token in the wrong place */
export function requireSourceOrSlot(text: string): string {
  if (isIdentifier(text)) return text;
  throw usageFailure(
    text === '' ? 'the source is empty' : 'that is neither a source nor a slot',
    '`tokenctl sources` and `tokenctl slots` show them.',
  );
}

/** Asks about the source of this name; where there is none and it may be a slot, about that. */
export async function askAbout<T>(text: string, ask: (what: SourceOrSlot) => Promise<T>): Promise<T> {
  try {
    return await ask({ source: text });
  } catch (error) {
    const isUnknown = error instanceof TokenBrokerError && error.code === 'UNKNOWN_SOURCE';
    if (!isUnknown || !isSlot(text)) throw error;
    return ask({ slot: text });
  }
}
