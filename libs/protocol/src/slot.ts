import { createHash } from 'node:crypto';

/** What a request may ask of a source beyond its name. All of them are part of the slot. */
export interface TokenParameters {
  /** In any order; duplicates count once. Absent: the source's own. */
  readonly scopes?: readonly string[];
  /** Compared exactly. Absent: the source's own. */
  readonly audience?: string;
  /** Compared exactly (RFC 8707). Absent: the source's own. */
  readonly resource?: string;
  /** SHA-256 of the subject token in base64url, where the source takes one (RFC 8693). */
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

/** Sorted by code unit, without duplicates (RFC 6749 §3.3: the order of scopes has no meaning). */
export function normaliseScopes(scopes: readonly string[]): string[] {
  return [...new Set(scopes)].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

/** The partition of a slot: its first 32 bits, big endian, modulo the number of partitions. */
export function partitionOf(slot: string, partitions: number): number {
  return Buffer.from(slot.slice(0, 6), 'base64url').readUInt32BE(0) % partitions;
}
