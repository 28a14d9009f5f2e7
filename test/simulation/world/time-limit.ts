import { StoreError } from '@token-broker/broker/simulation';
import type { Clock } from '@token-broker/foundation';

/** Each command ends within the time limit, as the driver's does; what Redis makes of it is another matter. */
export function limiting(clock: Clock, limitMs: number): <T>(command: string, work: Promise<T>) => Promise<T> {
  return (command, work) =>
    new Promise((resolve, reject) => {
      const timer = clock.startTimer(limitMs, () => {
        reject(new StoreError(command, 'unknown', `no answer within ${String(limitMs)} ms`));
      });
      work.then(resolve, reject).finally(() => {
        timer.cancel();
      });
    });
}
