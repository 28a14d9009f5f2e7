/**
 * What waits for a reply, by the token that names it in a subject.
 *
 * Not a `Map`: one that gains and loses an entry with each request is made anew again and again, and V8 lets each table point to
 * the next. As soon as one of them is old, all of them outlive the collections of the young generation, with the replies that
 * they held. Measured without a connection, that was half of what a miss cost a client.
 */
export class PendingRequests<T> {
  readonly #requests: (T | undefined)[] = [];
  readonly #tokens: string[] = [];
  readonly #free: number[] = [];
  #last = 0;

  get size(): number {
    return this.#requests.length - this.#free.length;
  }

  /** A token that no other request has had. */
  reserve(): string {
    return `${String(this.#free.at(-1) ?? this.#requests.length)}-${String(++this.#last)}`;
  }

  /** The token of a request that waits from here on. */
  add(request: T): string {
    const token = this.reserve();
    const place = this.#free.pop() ?? this.#requests.length;
    this.#requests[place] = request;
    this.#tokens[place] = token;
    return token;
  }

  get(token: string): T | undefined {
    // The token begins with the place; another one that had it before does not count.
    const place = Number.parseInt(token, 10);
    return this.#tokens[place] === token ? this.#requests[place] : undefined;
  }

  delete(token: string): void {
    if (this.get(token) === undefined) return;
    const place = Number.parseInt(token, 10);
    this.#requests[place] = undefined;
    this.#free.push(place);
  }

  /** Those that wait now, whatever is added or deleted meanwhile. */
  entries(): (readonly [string, T])[] {
    return this.#requests.flatMap((request, place) =>
      request === undefined ? [] : [[this.#tokens[place] ?? '', request] as const],
    );
  }
}
