/**
 * Joins concurrent work of one key into one run within this process. The run owns itself: a caller that stops waiting
 * does not stop it. A flight that was {@link SingleFlight.detach detached} still ends for those who joined it, but nobody
 * joins it any more; its end removes only itself, never a successor.
 */
export class SingleFlight<T> {
  readonly #flights = new Map<string, Promise<T>>();

  /** The number of keys with a flight that can be joined. */
  get size(): number {
    return this.#flights.size;
  }

  /** Joins the flight of `key`, or starts one. `work` is called synchronously when a flight is started. */
  join(key: string, work: () => Promise<T>): Promise<T> {
    const joined = this.#flights.get(key);
    if (joined !== undefined) return joined;
    const mine = work().finally(() => {
      if (this.#flights.get(key) === mine) this.#flights.delete(key);
    });
    this.#flights.set(key, mine);
    return mine;
  }

  /** Whether a caller of `key` would join a flight now. */
  has(key: string): boolean {
    return this.#flights.has(key);
  }

  /** Callers from now on start a flight of their own: what is in the air may be older than what they must see. */
  detach(key: string): void {
    this.#flights.delete(key);
  }

  /** {@link SingleFlight.detach} for each key that matches. */
  detachWhere(matches: (key: string) => boolean): void {
    for (const key of this.#flights.keys()) if (matches(key)) this.#flights.delete(key);
  }

  /** Resolves when every flight that is joinable now has ended, whether well or not. */
  async settle(): Promise<void> {
    await Promise.allSettled(this.#flights.values());
  }
}
