import type { Clock } from '@token-broker/foundation';
import { SeededRandom } from '@token-broker/testing';
import { expect } from 'vitest';
import type { SlotAddress, Store } from '../../../../app/ports/store.js';
import type { World } from '../worlds.js';
import { EVERY_ADDRESS, LONG_MS, SHORT_MS } from './cast.js';
import { FETCHING } from './fetching-commands.js';
import { Known } from './known.js';
import { Onlooker } from './onlooker.js';
import { RULING } from './ruling-commands.js';
import type { Command, Scene } from './scene.js';
import { WATCHING } from './watching-commands.js';
import { Words } from './words.js';

/** What lives for a short time is over after so many commands, for which that time must be enough. */
const SHORT_COMMANDS = 6;
const MARGIN_MS = 20;

const disaster: Command = async ({ world, known, say, integer }) => {
  const kind = integer(6);
  say(kind);
  if (kind > 1) return;
  await (kind === 0 ? world.lose() : world.promote());
  // Secrets are looked at by asking for them, which makes new ones where they are lost.
  if (kind === 0) known.secrets.clear();
};

const COMMANDS = { ...FETCHING, ...RULING, ...WATCHING, disaster };
type CommandName = keyof typeof COMMANDS;
/** What happens more often, or there would be few tokens, stands more often in it. */
const DRAWN: readonly CommandName[] = [
  ...(Object.keys(COMMANDS) as CommandName[]),
  ...(['reserve', 'reserve', 'reserve', 'commit', 'commit', 'commit', 'read', 'reject'] as const),
];

/** A story whose times cannot be compared: the machine was too slow. */
export class TooSlow extends Error {}

/** Random commands of two brokers on one world, and what it answers. The same seed gives the same commands. */
export class Story {
  readonly #world: World;
  /** The machine's: it tells whether the machine is too slow. */
  readonly #clock: Clock;
  readonly #random: SeededRandom;
  readonly #isTimed: boolean;
  readonly #brokers: readonly Store[];
  readonly #busy: readonly SlotAddress[];
  readonly #words = new Words();
  readonly #known = new Known();
  readonly #onlooker: Onlooker;
  readonly #lines: string[] = [];
  #step = 0;
  /** What lives for a short time and is not over yet: since which command, and since when. */
  #short: { readonly step: number; readonly sinceMs: number } | undefined;

  /** @param isTimed whether some of what it makes is over before it ends */
  constructor(world: World, clock: Clock, seed: number, isTimed: boolean) {
    this.#world = world;
    this.#clock = clock;
    this.#random = new SeededRandom(seed);
    this.#isTimed = isTimed;
    this.#brokers = [world.store('b1'), world.store('b2')];
    this.#busy = [1, 2, 3].map(() => this.#pick(EVERY_ADDRESS));
    this.#onlooker = new Onlooker(world, this.#words, this.#known);
  }

  /**
   * Its lines, after so many commands: every answer, and what was left behind.
   *
   * @throws TooSlow where it is timed, and the machine was not in time
   */
  async tell(length: number): Promise<readonly string[]> {
    while (this.#step < length) {
      const name = this.#pick(DRAWN);
      await COMMANDS[name](this.#scene(name));
      this.#step++;
      if (this.#step >= (this.#short?.step ?? this.#step) + SHORT_COMMANDS) await this.#outlive();
    }
    await this.#outlive();
    this.#lines.push(...(await this.#onlooker.observe()), ...(await this.#onlooker.probe()), ...this.#words.orders);
    return this.#lines;
  }

  #scene(name: CommandName): Scene {
    const store = this.#pick(this.#brokers);
    const policy = this.#pick(this.#known.versions);
    const to = this.#pick(this.#random.integer(4) > 0 ? this.#busy : EVERY_ADDRESS);
    return {
      ...{ world: this.#world, words: this.#words, known: this.#known, step: this.#step, store, policy, to },
      heard: this.#known.heardOf(to.partition),
      say: (...words) => void this.#lines.push([name, ...words].join(' ')),
      pick: (items) => this.#pick(items),
      integer: (bound) => this.#random.integer(bound),
      lifeMs: () => this.#lifeMs(),
      maybeTwice: (send, compare) => this.#maybeTwice(send, compare),
    };
  }

  #pick<T>(items: readonly T[]): T {
    // It may be `undefined` itself.
    return items[this.#random.integer(items.length)] as T;
  }

  #lifeMs(): number {
    if (!this.#isTimed || this.#random.integer(3) > 0) return LONG_MS;
    this.#short ??= { step: this.#step, sinceMs: this.#clock.elapsedMs() };
    return SHORT_MS;
  }

  async #maybeTwice<T>(send: () => Promise<T>, compare?: (first: T, again: T) => void): Promise<T> {
    const first = await send();
    if (this.#random.integer(4) > 0) return first;
    const before = await this.#onlooker.observe();
    const again = await send();
    compare?.(first, again);
    expect(await this.#onlooker.observe()).toEqual(before);
    return first;
  }

  /** Lets time pass until what lives for a short time is over. */
  async #outlive(): Promise<void> {
    if (this.#short === undefined) return;
    if (this.#clock.elapsedMs() - this.#short.sinceMs > SHORT_MS - MARGIN_MS) throw new TooSlow();
    await this.#world.pass(SHORT_MS + MARGIN_MS);
    this.#short = undefined;
    this.#lines.push('time has passed');
  }
}
