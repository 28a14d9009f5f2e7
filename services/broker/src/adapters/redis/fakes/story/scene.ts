import type { SlotAddress, Store } from '../../../../app/ports/store.js';
import type { World } from '../worlds.js';
import type { Heard, Known } from './known.js';
import type { Words } from './words.js';

/** What a command of a story has to do with: drawn at random, and alike in every world. */
export interface Scene {
  readonly world: World;
  readonly words: Words;
  readonly known: Known;
  /** How many commands went before. */
  readonly step: number;
  /** Of the broker that acts. */
  readonly store: Store;
  /** A version that has been heard of. */
  readonly policy: number;
  readonly to: SlotAddress;
  /** Of the partition of {@link to}. */
  readonly heard: Heard;
  /** A line of the story. */
  readonly say: (...words: readonly (string | number | boolean)[]) => void;
  readonly pick: <T>(items: readonly T[]) => T;
  /** From 0 to below the bound. */
  readonly integer: (bound: number) => number;
  /** How long something may live: mostly longer than the story. */
  readonly lifeMs: () => number;
  /**
   * Sends the same again as if the reply had been lost, now and then, and holds it to what is promised of that: it changes
   * nothing more.
   */
  readonly maybeTwice: <T>(send: () => Promise<T>, compare?: (first: T, again: T) => void) => Promise<T>;
}

export type Command = (scene: Scene) => Promise<void>;
