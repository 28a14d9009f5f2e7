import { randomInt } from 'node:crypto';
import type { Random } from '@token-broker/foundation';

/**
 * Random numbers that a seed reproduces: sfc32, which passes PractRand (Chris Doty-Humphrey, public domain). Not for
 * secrets.
 */
export class SeededRandom implements Random {
  readonly seed: number;
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** @param seed an integer from 0 to 2^32 - 1. Default: a new one, to be printed with a failure. */
  constructor(seed: number = randomInt(0x1_0000_0000)) {
    this.seed = seed >>> 0;
    this.#a = 0;
    this.#b = this.seed;
    this.#c = 0;
    // Mixes the seed into the whole state, as the reference implementation does for seeds of its word size.
    for (let round = 0; round < 12; round += 1) this.uint32();
  }

  /** An integer from 0 to 2^32 - 1. */
  uint32(): number {
    const result = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + result) | 0;
    return result >>> 0;
  }

  uniform(): number {
    // 53 bits, as many as a double has.
    return ((this.uint32() >>> 5) * 0x400_0000 + (this.uint32() >>> 6)) / 0x20_0000_0000_0000;
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.uint32() >>> 24);
  }

  /** An integer from 0 to `below` - 1. */
  integer(below: number): number {
    return Math.floor(this.uniform() * below);
  }

  /** The words with which a failed test says how to repeat it. */
  toString(): string {
    return `seed ${String(this.seed)}`;
  }
}
