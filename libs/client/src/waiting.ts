import type { Clock, Timer } from '@token-broker/foundation';
import { failure, TokenBrokerError } from '@token-broker/protocol';

/** How long a caller waits. */
export interface Patience {
  readonly signal?: AbortSignal | undefined;
  /** On `clock.elapsedMs()`. Absent: as long as the work takes. */
  readonly untilMs?: number | undefined;
}

/**
 * Waits for `work` no longer than `patience` says. Only this wait ends: the work goes on for those who wait for it too.
 *
 * @throws the signal's reason, or {TokenBrokerError} `DEADLINE`
 */
export function waitFor<T>(clock: Clock, work: Promise<T>, patience: Patience): Promise<T> {
  const { signal, untilMs } = patience;
  if (signal === undefined && untilMs === undefined) return work;
  return new Promise((resolve, reject) => {
    let timer: Timer | undefined;
    const leave = (): void => {
      timer?.cancel();
      signal?.removeEventListener('abort', abandon);
    };
    const abandon = (): void => {
      leave();
      reject(reasonOf(signal));
    };
    if (signal?.aborted === true) {
      // Nobody is left who would see it fail.
      work.catch(() => undefined);
      abandon();
      return;
    }
    signal?.addEventListener('abort', abandon, { once: true });
    if (untilMs !== undefined)
      timer = clock.startTimer(Math.max(0, untilMs - clock.elapsedMs()), () => {
        leave();
        reject(new TokenBrokerError(failure('DEADLINE', 'no token came in time; the fetch goes on')));
      });
    work.then(
      (value) => {
        leave();
        resolve(value);
      },
      (error: unknown) => {
        leave();
        reject(error instanceof Error ? error : new Error(String(error)));
      },
    );
  });
}

function reasonOf(signal: AbortSignal | undefined): Error {
  const reason: unknown = signal?.reason;
  return reason instanceof Error ? reason : new Error('the wait was aborted', { cause: reason });
}
