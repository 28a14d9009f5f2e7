import type { Point } from './faults/points.js';
import type { RefreshTokenRules } from './world/refresh-token-families.js';

/** What brokers and near caches count by. */
export const TICK_MS = 1_000;

/** The world as a seed makes it: how many of each, how fast, how exact. */
export interface Shape {
  readonly brokers: number;
  readonly clients: number;
  readonly partitions: number;
  readonly sources: number;
  /** Slots of each source. */
  readonly audiences: number;
  readonly tokenLifeMs: number;
  readonly minLifetimeMs: number;
  readonly maxStalenessMs: number;
  readonly timeoutMs: number;
  readonly lockTimeMs: number;
  readonly requestTimeoutMs: number;
  readonly redisLatencyMs: number;
  readonly natsLatencyMs: number;
  readonly idpLatencyMs: number;
  /** Clocks run at rates that differ by this part at most. */
  readonly drift: number;
  readonly isReplicated: boolean;
  readonly keepWarm: boolean;
  readonly idpCaches: boolean;
  /** How often an application asks its client. */
  readonly askEveryMs: number;
  /** Absent: no source is served with refresh tokens. */
  readonly refreshTokens: RefreshTokenRules | undefined;
  /** Of the one upstream identity that all sources share. Absent: there is no limit. */
  readonly quota: QuotaShape | undefined;
}

export interface QuotaShape {
  readonly limit: number;
  readonly windowMs: number;
  readonly reserve: number;
}

/** When something happens: at a time, or at the nth time that the world passes a point. */
export type Trigger = { readonly atMs: number } | { readonly point: Point; readonly nth: number };

/** One thing that goes wrong, or that somebody does. Numbers are drawn beforehand: what it hits depends on nothing else. */
export interface Entry {
  readonly kind: string;
  readonly trigger: Trigger;
  /** Which one of those that it may hit. */
  readonly target: number;
  readonly forMs: number;
  /** How much, in [0, 1). */
  readonly size: number;
}

export interface Scenario {
  readonly seed: number;
  readonly shape: Shape;
  readonly entries: readonly Entry[];
  /** After this, nothing goes wrong any more. */
  readonly troubleUntilMs: number;
}
