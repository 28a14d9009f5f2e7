import { createHash } from 'node:crypto';

/** What a request may ask of a source beyond its name. All of them are part of the slot. */
export interface TokenParameters {
  /** In any order; duplicates count once. Absent: the source's own. */
  readonly scopes?: readonly string[];
  /** Compared exactly. Absent: the source's own. */
  readonly audience?: string;
  /** Compared exactly (RFC 8707). Absent: the source's own. */
  readonly resource?: string;
  /** {@link subjectHashOf} the tokens of the subject, where the source takes one (RFC 8693, RFC 7523). */
  readonly subjectHash?: string;
}

/**
 * The slot of a source and parameters: SHA-256 over a JSON array (so that no two parameter lists share a text), cut to
 * 128 bits, in base64url. Any client in any language computes the same: see `docs/protocol.md`.
 */
export function slotOf(source: string, parameters: TokenParameters = {}): string {
  const canonical = JSON.stringify([
    'token-broker.slot.v1',
    source,
    parameters.scopes === undefined ? null : normaliseScopes(parameters.scopes),
    parameters.audience ?? null,
    parameters.resource ?? null,
    parameters.subjectHash ?? null,
  ]);
  return createHash('sha256').update(canonical).digest().subarray(0, 16).toString('base64url');
}

/**
 * Names a subject in a slot without telling its token: SHA-256 in base64url, of the subject token, or of both tokens with a
 * newline between them, which neither can hold. So two pairs never share a text, and an actor makes a slot of its own.
 */
export function subjectHashOf(subjectToken: string, actorToken?: string): string {
  const text = actorToken === undefined ? subjectToken : `${subjectToken}\n${actorToken}`;
  return createHash('sha256').update(text).digest('base64url');
}

/** Sorted by code unit, without duplicates (RFC 6749 §3.3: the order of scopes has no meaning). */
export function normaliseScopes(scopes: readonly string[]): string[] {
  return [...new Set(scopes)].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

/** The partition of a slot: its first 32 bits, big endian, modulo the number of partitions. */
export function partitionOf(slot: string, partitions: number): number {
  return Buffer.from(slot.slice(0, 6), 'base64url').readUInt32BE(0) % partitions;
}
