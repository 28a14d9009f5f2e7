/** What a process of callers is told at its start. */
export interface CallerSettings {
  readonly url: string;
  readonly caller: string;
  readonly password: string;
  readonly sources: readonly string[];
  /** Each with a connection and a near cache of its own. */
  readonly clients: number;
  readonly runMs: number;
  readonly seed: number;
  /** Of every token, counted from the moment that it bears (see {@link issuedAtMs}). */
  readonly lifeMs: number;
  readonly minLifetimeMs: number;
  readonly requestTimeoutMs: number;
}

/** One token in the hands of one client. Moments are wall time: all processes run on one machine. */
export interface HandedOut {
  readonly client: string;
  readonly source: string;
  readonly epoch: number;
  readonly generation: number;
  /** When the last call began that was answered with it. */
  readonly lastAskedAtMs: number;
}

/** What a process of callers has seen. */
export interface CallerReport {
  readonly calls: number;
  /** Errors of calls, by code. */
  readonly errors: Readonly<Record<string, number>>;
  /** The longest call, whatever came of it. */
  readonly longestMs: number;
  /** Calls that ended later than their deadline and what a loaded machine adds. */
  readonly late: number;
  /** The least life that a token had when it was handed out, by the identity provider's own time. */
  readonly leastRemainingMs: number;
  /** Tokens handed out with less than the minimum lifetime. */
  readonly belowMinimum: number;
  /** Steps back to an older token of the same slot. */
  readonly stepsBack: number;
  readonly handedOut: readonly HandedOut[];
}

export type CallerLine =
  | { readonly kind: 'started' }
  | { readonly kind: 'progress'; readonly calls: number; readonly errors: number }
  | { readonly kind: 'done'; readonly report: CallerReport };

/** Writes into a token when it was issued, so that whoever holds it can tell its true age. */
export function stamped(accessToken: string, issuedAtMs: number): string {
  return `${accessToken}~${String(issuedAtMs)}`;
}

export function issuedAtMs(accessToken: string): number {
  return Number(accessToken.split('~').at(-1));
}
