import type { World } from '../worlds.js';
import { bytes, EVERY_ADDRESS, LONG_MS, text } from './cast.js';
import type { Known } from './known.js';
import type { Words } from './words.js';

const NAME = 'watcher';

/** Somebody who comes new to the world of a story, and looks at what was left in it. */
export class Onlooker {
  readonly #world: World;
  readonly #words: Words;
  readonly #known: Known;

  constructor(world: World, words: Words, known: Known) {
    this.#world = world;
    this.#words = words;
    this.#known = known;
  }

  /** All that can be seen. Changes nothing. */
  async observe(): Promise<string[]> {
    const store = this.#world.store(NAME);
    const words = this.#words;
    const { newestPolicy, revoked, secrets } = this.#known;
    const reads = await Promise.all(
      EVERY_ADDRESS.map(async (to) => ({ to, reply: await store.read(to, newestPolicy) })),
    );
    const leases = await store.lease(
      this.#known.leases(() => 0),
      LONG_MS,
    );
    const [{ slots }, presences, recipes] = await Promise.all([
      store.list({}, 100),
      store.presences(),
      store.recipes(),
      store.leave(),
    ]);
    const stand = await Promise.all(
      revoked.slice(-5).map(async ({ target, partition, floor }) => {
        const stands = await store.confirm(target, partition, this.#known.heardOf(partition).epoch, floor);
        return `${words.target(target)} ${String(stands)}`;
      }),
    );
    const values = await Promise.all([...secrets].map((name) => store.sharedSecret(name, bytes('was not there'))));
    return [
      ...reads.map(({ to, reply }) => {
        const of = `${to.slot.slice(-1)} ${to.source} ${to.recipe}`;
        if (reply.kind === 'failed') return `${of} failed ${reply.code} ${reply.message}`;
        return `${of} ${reply.kind === 'hit' ? words.hit(to, reply) : `miss ${words.generation(to, reply.floor)}`}`;
      }),
      ...leases.map((reply) => words.lease(reply, NAME)),
      ...slots.map((row) => `${row.slot.slice(-1)}=${words.generation(row, row.generation)}`).sort(),
      ...(await words.scanned(store)),
      ...presences.map(({ caller, instance }) => `${caller}/${instance}`).sort(),
      JSON.stringify([...recipes].sort()),
      ...stand,
      ...values.map(text),
    ];
  }

  /** What is asked last, since it changes what it looks at: who may call the provider now. */
  async probe(): Promise<string[]> {
    const store = this.#world.store(NAME);
    const lines: string[] = [];
    for (const to of EVERY_ADDRESS) {
      const policy = this.#known.newestPolicy;
      const request = { address: to, attempt: 'probe', wantGreaterThan: 0, callMs: LONG_MS, policy };
      const first = await store.reserve({ ...request, floor: 0 });
      const floor = first.kind === 'relock' ? first.floor : 0;
      const second = first.kind === 'relock' ? await store.reserve({ ...request, floor }) : first;
      lines.push(`${to.slot.slice(-1)} ${to.source} ${to.recipe} ${second.kind}`);
    }
    return lines;
  }
}
