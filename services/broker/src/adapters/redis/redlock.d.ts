/**
 * The part of redlock 4.2 that is used. `@types/redlock` would bring in the types of an ioredis long gone.
 */
declare module 'redlock' {
  class Redlock {
    constructor(
      servers: readonly Redlock.RedlockServer[],
      options: { readonly retryCount: number; readonly driftFactor: number },
    );
    acquire(resource: string, ttlMs: number): PromiseLike<Redlock.Lock>;
    release(lock: Redlock.Lock): PromiseLike<void>;
  }

  namespace Redlock {
    type Reply = (error: Error | null, value?: unknown) => void;

    /** What redlock needs of a server: the callback forms of two commands. */
    interface RedlockServer {
      evalsha(digest: string, args: readonly (string | number)[], reply: Reply): void;
      eval(args: readonly (string | number)[], reply: Reply): void;
    }

    interface Lock {
      readonly value: string;
    }
  }

  export = Redlock;
}
