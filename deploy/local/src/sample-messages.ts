import type { ClientStats } from '@token-broker/client';

/** What a sample service is told on standard input: one JSON object a line. */
export type SampleCommand =
  /** Many callers at once: each asks for the token `times` times, and waits for it before it asks again. */
  | { readonly command: 'burst'; readonly callers: number; readonly times: number }
  /** One request for a token of any source; says what came of it. */
  | { readonly command: 'try'; readonly source: string; readonly scope?: string }
  /** Which token the near cache holds; asks nobody. */
  | { readonly command: 'fingerprint' }
  | { readonly command: 'stats' }
  /** From now on a call every `everyMs`. */
  | { readonly command: 'traffic'; readonly everyMs: number };

/** What each command is answered with. */
export interface SampleResults {
  burst: BurstResult;
  try: TryResult;
  fingerprint: { readonly fingerprint: string | null };
  stats: ClientStats;
  traffic: Record<string, never>;
}

export interface BurstResult {
  /** Tokens that were handed to callers. */
  readonly served: number;
  readonly failed: number;
  /** One message of those that failed. */
  readonly failure: string | null;
  /** Of the distinct tokens that the callers got. */
  readonly fingerprints: readonly string[];
  readonly tookMs: number;
}

/** `code`: of the error, or `ok`. */
export interface TryResult {
  readonly code: string;
  readonly message: string;
  readonly scope: string | null;
}

/** What a sample service tells on standard output: one JSON object a line. */
export type SampleMessage =
  | { readonly event: 'ready' }
  /** The near cache has dropped its token, because it was revoked. */
  | { readonly event: 'dropped'; readonly atMs: number }
  /** The near cache has a new token in place of the one before. */
  | { readonly event: 'renewed'; readonly atMs: number; readonly fingerprint: string }
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: string };
