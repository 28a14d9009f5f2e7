import type { LockReply, Locks, ReleaseOutcome } from '@token-broker/broker/simulation';
import type { EventLoop, SeededRandom, SimulatedProcess } from '@token-broker/testing';

interface Lock {
  readonly owner: string;
  readonly untilMs: number;
}

/** Where the locks are: one master, or several that may not agree. */
export class LockServer {
  /** No master answers. */
  away = false;
  /** Masters disagree: whoever asks gets the lock. */
  split = false;
  readonly #loop: EventLoop;
  readonly #random: SeededRandom;
  readonly #latencyMs: number;
  readonly #held = new Map<string, Lock>();

  constructor(loop: EventLoop, random: SeededRandom, latencyMs: number) {
    this.#loop = loop;
    this.#random = random;
    this.#latencyMs = latencyMs;
  }

  /** A master has lost its memory. */
  forget(): void {
    this.#held.clear();
  }

  locks(process: SimulatedProcess): Locks {
    let attempts = 0;
    return {
      acquire: (name, partition, ttlMs) => {
        const key = `${String(partition)} ${name}`;
        const owner = `${process.name} ${String(++attempts)}`;
        return new Promise((resolve) => {
          process.leave('lock:acquire', () => {
            this.#loop.after(this.#trip(), () => {
              const reply = this.#acquire(key, owner, ttlMs, process);
              this.#loop.after(this.#trip(), () => {
                process.enter(() => {
                  resolve(reply);
                });
              });
            });
          });
        });
      },
    };
  }

  #acquire(key: string, owner: string, ttlMs: number, process: SimulatedProcess): LockReply {
    if (this.away) return { kind: 'error', detail: 'no master answers' };
    const held = this.#held.get(key);
    if (held !== undefined && held.untilMs > this.#loop.nowMs && !this.split) return { kind: 'held' };
    this.#held.set(key, { owner, untilMs: this.#loop.nowMs + ttlMs });
    const validUntilMs = process.clock.elapsedMs() + ttlMs;
    const release = (): Promise<ReleaseOutcome> => {
      process.leave('lock:release', () => {
        this.#loop.after(this.#trip(), () => {
          if (this.#held.get(key)?.owner === owner) this.#held.delete(key);
        });
      });
      return Promise.resolve('unknown');
    };
    return { kind: 'acquired', lock: { validUntilMs, release } };
  }

  #trip(): number {
    return this.#latencyMs * (0.5 + this.#random.uniform());
  }
}
