import type { Clock } from '@token-broker/foundation';
import type { LockReply, Locks, ReleaseOutcome } from '../ports/locks.js';

/** Locks that the brokers of one process share; they run out by the clock. */
export class FakeLocks implements Locks {
  readonly #clock: Clock;
  readonly #held = new Map<string, { readonly untilMs: number }>();
  /** A master that does not answer. */
  away = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** As when its master has lost its memory. */
  forget(): void {
    this.#held.clear();
  }

  async acquire(name: string, partition: number, ttlMs: number): Promise<LockReply> {
    await Promise.resolve();
    if (this.away) return { kind: 'error', detail: 'away' };
    const key = `${String(partition)} ${name}`;
    const nowMs = this.#clock.elapsedMs();
    if ((this.#held.get(key)?.untilMs ?? 0) > nowMs) return { kind: 'held' };
    const mine = { untilMs: nowMs + ttlMs };
    this.#held.set(key, mine);
    const release = async (): Promise<ReleaseOutcome> => {
      await Promise.resolve();
      if (this.#held.get(key) !== mine || mine.untilMs <= this.#clock.elapsedMs()) return 'lost';
      this.#held.delete(key);
      return 'released';
    };
    return { kind: 'acquired', lock: { validUntilMs: mine.untilMs, release } };
  }
}
