import type { Result } from '@token-broker/foundation';

/** Messages that are remembered: of several brokers, or of several slots whose tokens are renewed at the same moment. */
const REMEMBERED = 4;

interface Read<T> {
  /** With whatever else the socket had read at once. */
  readonly bytes: Uint8Array;
  readonly message: Result<T, string>;
}

/**
 * Reads messages of one kind for all near caches of this process. What brokers publish, many of them hear, each by a
 * subscription of its own: it is decoded for the first, and for the others its bytes are compared. What is given is shared, and
 * not to be changed.
 */
export class ReadingOnce<T> {
  readonly #decode: (data: Uint8Array) => Result<T, string>;
  #last: Read<T>[] = [];
  #next = 0;
  #readers = 0;

  constructor(decode: (data: Uint8Array) => Result<T, string>) {
    this.#decode = decode;
  }

  /** One more reads. To be called when it does no more. */
  join(): () => void {
    this.#readers++;
    let isIn = true;
    return () => {
      if (!isIn) return;
      isIn = false;
      if (--this.#readers > 0) return;
      this.#last = [];
      this.#next = 0;
    };
  }

  read(data: Uint8Array): Result<T, string> {
    // To compare and to remember is for others, as a rule of whom there are none.
    if (this.#readers <= 1) return this.#decode(data);
    for (const { bytes, message } of this.#last)
      if (bytes.length === data.length && Buffer.compare(bytes, data) === 0) return message;
    const message = this.#decode(data);
    this.#last[this.#next] = { bytes: data, message };
    this.#next = (this.#next + 1) % REMEMBERED;
    return message;
  }
}
