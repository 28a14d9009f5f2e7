import { inspect } from 'node:util';

const SHOWN = '<redacted>';

/**
 * A secret that cannot be printed: `String()`, template literals, `JSON.stringify`, `console.log` and loggers all show
 * `<redacted>`. Only {@link Redacted.reveal} gives the value, so that every use of a secret can be searched for.
 */
export class Redacted<T extends string | Uint8Array = string> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  reveal(): T {
    return this.#value;
  }

  toString(): string {
    return SHOWN;
  }

  toJSON(): string {
    return SHOWN;
  }

  [inspect.custom](): string {
    return SHOWN;
  }
}
