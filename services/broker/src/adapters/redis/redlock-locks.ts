import { within, type Clock } from '@token-broker/foundation';
import Redlock from 'redlock';
import type { HeldLock, LockReply, Locks, ReleaseOutcome } from '../../app/ports/locks.js';
import { createKeys, type Keys } from './keys.js';
import type { RedisClient } from './scripts.js';

/** Redis counts expiry in milliseconds and clocks drift: so much of a lock's life is not relied on (redlock's own rule). */
const DRIFT_FACTOR = 0.01;
const DRIFT_FLOOR_MS = 2;

export interface RedlockLocksOptions {
  /** Independent masters, an odd number; each with a command timeout of its own. */
  readonly masters: readonly RedisClient[];
  readonly namespace: string;
  readonly clock: Clock;
  /** The time that one attempt may take, dead masters included. */
  readonly acquireTimeoutMs: number;
}

/**
 * Locks by redlock, one try at a time: who waits for whom is the flight's business. redlock reports a lock that is held and
 * a master that does not answer as the same error; here they are told apart by the errors that the masters gave.
 */
export class RedlockLocks implements Locks {
  readonly #options: RedlockLocksOptions;
  readonly #keys: Keys;

  constructor(options: RedlockLocksOptions) {
    this.#options = options;
    this.#keys = createKeys(options.namespace);
  }

  async acquire(name: string, partition: number, ttlMs: number): Promise<LockReply> {
    const { clock, masters, acquireTimeoutMs } = this.#options;
    const errors: string[] = [];
    // One Redlock per attempt (a few microseconds): its errors are this attempt's alone.
    const redlock = new Redlock(
      masters.map((master) => serverOf(master, errors)),
      { retryCount: 0, driftFactor: DRIFT_FACTOR },
    );
    const sentAtMs = clock.elapsedMs();
    const attempt = Promise.resolve(redlock.acquire(this.#keys.lock(partition, name), ttlMs)).then(
      (lock) => ({ lock }),
      () => undefined,
    );
    const outcome = await within(clock, acquireTimeoutMs, attempt);
    if (!outcome.inTime) {
      void attempt.then((late) => (late === undefined ? undefined : release(redlock, late.lock, errors)));
      return { kind: 'error', detail: `no answer within ${String(acquireTimeoutMs)} ms` };
    }
    if (outcome.value === undefined) {
      const [detail] = errors;
      return detail === undefined ? { kind: 'held' } : { kind: 'error', detail };
    }
    const { lock } = outcome.value;
    const validUntilMs = sentAtMs + ttlMs - Math.round(ttlMs * DRIFT_FACTOR) - DRIFT_FLOOR_MS;
    const held: HeldLock = { validUntilMs, release: () => release(redlock, lock, errors) };
    return { kind: 'acquired', lock: held };
  }
}

/** What fails here runs out by itself, and what it guarded is fenced by the store. */
async function release(redlock: Redlock, lock: Redlock.Lock, errors: readonly string[]): Promise<ReleaseOutcome> {
  const before = errors.length;
  try {
    await redlock.release(lock);
    return 'released';
  } catch {
    return errors.length > before ? 'unknown' : 'lost';
  }
}

/** redlock 4 calls masters by callback with an array of arguments; ioredis no longer takes that form. */
function serverOf(master: RedisClient, errors: string[]): Redlock.RedlockServer {
  const call = (
    command: string,
    args: readonly (string | number)[],
    reply: (error: Error | null, value?: unknown) => void,
  ): void => {
    master.call(command, ...args.map(String)).then(
      (value: unknown) => {
        reply(null, value);
      },
      (error: unknown) => {
        const cause = error instanceof Error ? error : new Error(String(error));
        if (!cause.message.startsWith('NOSCRIPT')) errors.push(cause.message.slice(0, 160));
        reply(cause);
      },
    );
  };
  return {
    evalsha: (digest, args, reply) => {
      call('evalsha', [digest, ...args], reply);
    },
    eval: (args, reply) => {
      call('eval', args, reply);
    },
  };
}
