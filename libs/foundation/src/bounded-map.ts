/** The bounds of a {@link BoundedMap}: entries and bytes, both of them hard. */
export interface Bounds {
  readonly maxEntries: number;
  readonly maxBytes: number;
}

/**
 * A map that forgets the least recently used entry before it grows beyond its bounds. `bytesOf` is asked once per
 * value, when it is set. A single value above `maxBytes` is not kept.
 */
export class BoundedMap<V> {
  readonly #entries = new Map<string, { readonly value: V; readonly bytes: number }>();
  readonly #bounds: Bounds;
  readonly #bytesOf: (value: V) => number;
  readonly #onEvict: (key: string, value: V) => void;
  #bytes = 0;

  constructor(
    bounds: Bounds,
    bytesOf: (value: V) => number,
    onEvict: (key: string, value: V) => void = () => undefined,
  ) {
    this.#bounds = bounds;
    this.#bytesOf = bytesOf;
    this.#onEvict = onEvict;
  }

  get size(): number {
    return this.#entries.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The value of `key`, which becomes the most recently used. */
  get(key: string): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry.value;
  }

  /** The value of `key`, without a change of its place in the order of use. */
  peek(key: string): V | undefined {
    return this.#entries.get(key)?.value;
  }

  set(key: string, value: V): void {
    this.delete(key);
    const bytes = this.#bytesOf(value);
    if (bytes > this.#bounds.maxBytes || this.#bounds.maxEntries < 1) {
      this.#onEvict(key, value);
      return;
    }
    this.#entries.set(key, { value, bytes });
    this.#bytes += bytes;
    while (this.#entries.size > this.#bounds.maxEntries || this.#bytes > this.#bounds.maxBytes) this.#evictOldest();
  }

  delete(key: string): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    this.#bytes -= entry.bytes;
    return entry.value;
  }

  clear(): void {
    this.#entries.clear();
    this.#bytes = 0;
  }

  /** From the least to the most recently used. Deleting while iterating is allowed. */
  *entries(): IterableIterator<[string, V]> {
    for (const [key, entry] of this.#entries) yield [key, entry.value];
  }

  #evictOldest(): void {
    for (const [key, entry] of this.#entries) {
      this.delete(key);
      this.#onEvict(key, entry.value);
      return;
    }
  }
}
