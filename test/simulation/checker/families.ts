import type { Absences } from './absences.js';
import type { Expect } from './expectation.js';
import type { At, HandedOut, Issued } from './observation.js';
import type { FamilyEnded } from './upstream-observation.js';

/** A grace period of this length outlasts whatever may come between two uses of one refresh token. */
const LONG_GRACE_MS = 60_000;

interface Found {
  readonly by: string;
  readonly atMs: number;
}

/**
 * A provider that ends a family of refresh tokens ends the access tokens of it. Once a broker has found that out, and lives,
 * nobody is given one of them any more. With a grace period, no family ends by what brokers do.
 */
export class Families {
  readonly #absences: Absences;
  readonly #expect: Expect;
  readonly #graceMs: number;
  readonly #withinMs: number;
  /** By family: who has found first that it is over. */
  readonly #found = new Map<string, Found>();

  /** @param withinMs until near caches with which nothing is wrong must have dropped them */
  constructor(absences: Absences, expect: Expect, options: { readonly graceMs: number; readonly withinMs: number }) {
    this.#absences = absences;
    this.#expect = expect;
    this.#graceMs = options.graceMs;
    this.#withinMs = options.withinMs;
  }

  ended({ family, why }: FamilyEnded): void {
    if (this.#graceMs < LONG_GRACE_MS) return;
    this.#expect('families', why !== 'replayed', () => `${family} was ended by a replay, in spite of the grace period`);
  }

  /** The journal has noted that it is over. */
  found(family: string, by: string, atMs: number): void {
    if (!this.#found.has(family)) this.#found.set(family, { by, atMs });
  }

  handedOut({ slot, token, healthySinceMs, atMs }: At<HandedOut>, { family }: Issued): void {
    const found = family === undefined ? undefined : this.#found.get(family);
    if (found === undefined || healthySinceMs > found.atMs) return;
    // Who has found it out may die with it: then the next one to spend finds it.
    if (this.#absences.hasBeenAwaySince(found.by, found.atMs)) return;
    this.#expect('families', atMs <= found.atMs + this.#withinMs, () => {
      return `${slot}: ${token} was handed out, although its family was found to be over at ${String(found.atMs)} ms`;
    });
  }
}
