import { Checker, type Bounds } from '../checker.js';
import type { Seen } from '../observation.js';

const BOUNDS: Bounds = {
  minLifetimeMs: 2_000,
  maxStalenessMs: 10_000,
  detectionMs: 2_500,
  drift: 0,
  idpCaches: false,
  graceMs: 0,
  quota: undefined,
};
export const LIFE_MS = 60_000;

/** What a checker is told, in order: each thing a millisecond after the one before, unless it says when. */
export class History {
  readonly checker: Checker;
  nowMs = 0;

  constructor(change: Partial<Bounds> = {}) {
    this.checker = new Checker({ ...BOUNDS, ...change });
  }

  see(process: string, seen: Seen, atMs = this.nowMs + 1): void {
    this.nowMs = atMs;
    this.checker.observe({ atMs, process, ...seen });
  }

  reserved(generation: number, change: object = {}): Seen {
    return {
      kind: 'reserved',
      slot: 's',
      recipe: 'r',
      epoch: 1,
      generation,
      floor: 0,
      redisMs: this.nowMs,
      callMs: 3_000,
      live: undefined,
      isDue: false,
      ...change,
    };
  }

  /** A claim, its call, and the token that came of it. */
  fetched(generation: number, token: string, change: object = {}): void {
    this.see('b1', this.reserved(generation, change));
    this.see('b1', { kind: 'called', slot: 's', recipe: 'r', epoch: 1, generation, call: generation });
    const expiresAtMs = this.nowMs + LIFE_MS;
    this.see('-', { kind: 'issued', call: generation, token, lifeMs: LIFE_MS, expiresAtMs, family: undefined });
    this.see('b1', { kind: 'call-ended', call: generation, permit: undefined, heard: 'token', retryAfterMs: 0 });
  }

  /** A revocation with this floor, executed and reported. */
  revoked(floor: number, change: object = {}): void {
    this.see('b1', { kind: 'floor-raised', id: 'r1', partition: 0, epoch: 1, floor, slots: ['s'] });
    this.see('b1', {
      kind: 'revocation-returned',
      id: 'r1',
      complete: true,
      durable: false,
      broadcast: true,
      covers: [{ slot: 's', partition: 0 }],
      partitions: [0],
      standing: [{ partition: 0, epoch: 1, floor, replacedSince: false }],
      wasTaken: true,
      ...change,
    });
  }
}

export const committed = (generation: number, change: object = {}): Seen => ({
  kind: 'committed',
  slot: 's',
  epoch: 1,
  generation,
  epochOfClaim: 1,
  attempt: `a${String(generation)}`,
  floor: 0,
  before: 0,
  ...change,
});

export const answered = (generation: number, token: string, change: object = {}): Seen => ({
  kind: 'answered',
  slot: 's',
  epoch: 1,
  generation,
  token,
  verified: true,
  expiresInMs: 1_000,
  ...change,
});

export const handedOut = (generation: number, token: string, change: object = {}): Seen => ({
  kind: 'handed-out',
  slot: 's',
  epoch: 1,
  generation,
  token,
  verified: true,
  expiresInMs: 1_000,
  clocksJumped: false,
  healthySinceMs: 0,
  ...change,
});
