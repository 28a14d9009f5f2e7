import type { NatsConnectionLike, NatsStatusLike } from './nats-connection.js';

/** Passes on each status of the connection until it ends or the returned function is called. */
export function watchConnection(
  connection: NatsConnectionLike,
  onStatus: (status: NatsStatusLike) => void,
): () => void {
  const statuses = connection.status();
  let stopped = false;
  const watch = async (): Promise<void> => {
    for await (const status of statuses) {
      // A loop that waits for the next status cannot be woken; it ends with that status or with the connection.
      if (stopped) return;
      onStatus(status);
    }
  };
  // The iteration fails only when the connection is gone, and then there is nothing more to watch.
  watch().catch(() => undefined);
  return () => {
    stopped = true;
    // Both libraries give an iterator that can be stopped, though their types do not say so.
    const { stop } = statuses as { stop?: () => void };
    if (typeof stop === 'function') stop.call(statuses);
  };
}
