import { createSystemClock } from '@token-broker/foundation';
import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { describe, expect, it } from 'vitest';
import { FakeRedis } from '../../app/fakes/fake-redis.js';
import { FakeRefreshTokenJournal } from '../../app/fakes/fake-refresh-token-journal.js';
import type { JournalAddress, RefreshTokenJournal } from '../../app/ports/refresh-token-journal.js';
import { redisOfFile } from './fakes/redis-of-file.js';
import { createKeys } from './keys.js';
import { RedisRefreshTokenJournal } from './redis-refresh-token-journal.js';

const LINES: readonly JournalAddress[] = [
  { source: 's1', upstream: 'u1' },
  { source: 's1', upstream: 'u2' },
];
const ATTEMPTS = ['a1', 'a2', 'a3'] as const;
const HASHES = ['h1', 'h2', 'h3', 'h4', 'h5', 'h6'] as const;
/** A call that is over at once, or longer than a few commands. */
const CALLS_MS = [0, 0, 10_000] as const;
/** All times of a story are multiples of this, and no story takes as long: times are compared in these steps. */
const STEP_MS = 500;

const clock = createSystemClock();
const keys = createKeys('test');
const redis = redisOfFile();

interface World {
  readonly journal: RefreshTokenJournal;
  /** Everything is lost: `FLUSHALL`. */
  lose(): Promise<unknown>;
  /** The clock of Redis goes on; it falls back, where negative. */
  pass(ms: number): Promise<unknown>;
  /** All that is kept of a line. */
  contents(of: JournalAddress): Promise<Contents>;
}

interface Contents {
  readonly entry: readonly (string | undefined)[];
  readonly intent: readonly (string | undefined)[];
  /** Until when the intent is, and since when its owner is called for, in steps from now. */
  readonly times: readonly number[];
  readonly seeds: readonly string[];
}

/** Without a negative zero, which is another value to `expect`. */
const stepsOf = (ms: number): number => Math.ceil(ms / STEP_MS) + 0;
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const bytes = (of: string): Uint8Array => Buffer.from(of);

function realWorld(): World {
  const durability = { durableReplicas: 0, commandTimeoutMs: 1_000 };
  return {
    journal: new RedisRefreshTokenJournal({
      client: redis.client,
      namespace: 'test',
      ...durability,
      onError: () => undefined,
    }),
    lose: () => redis.client.flushall(),
    // Stories would be slow if time had to pass: what is noted is moved into the past.
    async pass(ms) {
      for (const { source, upstream } of LINES) {
        const { journal } = keys.journal(source, upstream);
        const times = await redis.client.hmget(journal, 'until', 'calledAt');
        for (const [i, field] of ['until', 'calledAt'].entries()) {
          const at = Number(times[i] ?? 0);
          if (at > 0) await redis.client.hset(journal, field, String(at - ms));
        }
      }
    },
    async contents({ source, upstream }) {
      const { journal, seeds } = keys.journal(source, upstream);
      const [fields, known, [seconds = 0, micros = 0]] = await Promise.all([
        redis.client.hgetall(journal),
        redis.client.zrange(seeds, '0', '-1'),
        redis.client.time(),
      ]);
      const nowMs = seconds * 1_000 + Math.floor(micros / 1_000);
      const named = (...names: string[]): (string | undefined)[] => names.map((name) => fields[name]);
      const at = (field: string): number => {
        const ms = Number(fields[field] ?? 0);
        return ms > 0 ? stepsOf(ms - nowMs) : NaN;
      };
      expect(Object.keys(fields).length === 0 || Number(fields['changedAt']) > 0).toBe(true);
      return {
        entry: named('family', 'sequence', 'sealed', 'seed', 'replaced', 'exhausted', 'succeededBy'),
        intent: named('attempt', 'spends', 'callMs'),
        times: [at('until'), at('calledAt')],
        seeds: known,
      };
    },
  };
}

function fakeWorld(): World {
  const virtual = new VirtualClock();
  const redis = new FakeRedis(virtual, 1);
  return {
    journal: new FakeRefreshTokenJournal(redis),
    lose: () => {
      redis.flush();
      return Promise.resolve();
    },
    pass: (ms) => {
      redis.aheadMs += ms;
      return Promise.resolve();
    },
    contents({ source, upstream }) {
      const { entry, intent, seeds = [] } = redis.journals.get(`${source}/${upstream}`) ?? {};
      const at = (ms = 0): number => (ms > 0 ? stepsOf(ms - redis.nowMs) : NaN);
      return Promise.resolve({
        entry:
          entry === undefined
            ? new Array<undefined>(7).fill(undefined)
            : [
                ...[entry.family, String(entry.sequence), text(entry.sealed), entry.seed, entry.replaced ? '1' : ''],
                ...[entry.exhausted ? '1' : undefined, entry.succeededBy === '' ? undefined : entry.succeededBy],
              ],
        intent: [intent?.attempt, intent?.spends, intent === undefined ? undefined : String(intent.callMs)],
        times: [at(intent?.untilMs), at(intent?.calledAtMs)],
        seeds,
      });
    },
  };
}

/** Random commands on one world, and what it answers. The same seed gives the same commands. */
class Story {
  readonly lines: string[] = [];
  readonly #world: World;
  readonly #random: SeededRandom;
  #spent = LINES.map(() => ({ family: 'f', sequence: 0 }));
  #step = 0;

  constructor(world: World, seed: number) {
    this.#world = world;
    this.#random = new SeededRandom(seed);
  }

  async tell(length: number): Promise<string[]> {
    for (; this.#step < length; this.#step++) {
      const index = this.#random.integer(8) > 0 ? 0 : 1;
      const line = LINES[index];
      if (line !== undefined) await this.#command(index, line);
    }
    for (const line of LINES) this.lines.push(JSON.stringify(await this.#world.contents(line)));
    return this.lines;
  }

  async #command(index: number, line: JournalAddress): Promise<void> {
    const { journal } = this.#world;
    const attempt = this.#pick(ATTEMPTS);
    const known = this.#spent[index] ?? { family: 'f', sequence: 0 };
    const spent = this.#pick([
      known,
      known,
      known,
      { ...known, sequence: known.sequence + 1 },
      { ...known, family: '?' },
    ]);
    const command = this.#pick([
      ...[
        'spend',
        'spend',
        'spend',
        'spend',
        'spend',
        'spend',
        'succeed',
        'succeed',
        'succeed',
        'keep',
        'release',
        'exhaust',
      ],
      ...['seed', 'pass', 'pass', 'state', this.#pick(['state', 'state', 'state', 'lose'])],
    ]);
    const say = (...words: (string | number | boolean)[]): void => void this.lines.push([command, ...words].join(' '));
    switch (command) {
      case 'spend': {
        const callMs = this.#pick(CALLS_MS);
        const said = await this.#maybeTwice(line, async () => {
          const reply = await journal.spend(line, attempt, callMs);
          if (reply.kind === 'busy') return `busy ${String(stepsOf(reply.remainingMs))}`;
          if (reply.kind === 'exhausted') return `exhausted ${reply.family}`;
          if (reply.kind !== 'spend') return reply.kind;
          const { family, sequence, sealed } = reply.entry;
          this.#spent[index] = { family, sequence };
          return `spend ${family} ${String(sequence)} ${text(sealed)}`;
        });
        say(attempt, callMs, said);
        break;
      }
      case 'succeed': {
        const successor = bytes(`t${String(this.#step)}`);
        const send = async (): Promise<string> => (await journal.succeed(line, attempt, spent, successor)).kind;
        say(attempt, JSON.stringify(spent), await this.#maybeTwice(line, send));
        break;
      }
      case 'keep': {
        const sealed = bytes(`k${String(this.#step)}`);
        say(
          attempt,
          JSON.stringify(spent),
          await this.#maybeTwice(line, () => journal.keep(line, attempt, spent, sealed)),
        );
        break;
      }
      case 'release': {
        await this.#maybeTwice(line, async () => {
          await journal.release(line, attempt);
          return '';
        });
        say(attempt);
        break;
      }
      case 'exhaust':
        say(attempt, await this.#maybeTwice(line, () => journal.exhaust(line, attempt, spent)));
        break;
      case 'seed': {
        const [family, sealed, hash] = [`f${String(this.#step)}`, bytes(`u${String(this.#step)}`), this.#pick(HASHES)];
        const send = async (): Promise<string> => JSON.stringify(await journal.seed(line, family, sealed, hash));
        say(hash, await this.#maybeTwice(line, send));
        break;
      }
      case 'pass': {
        const steps = this.#pick([1, 1, 1, 2, 3, 20, -10]);
        await this.#world.pass(steps * STEP_MS);
        say(steps);
        break;
      }
      case 'state': {
        const { kind, sequence, changedAtMs } = await journal.state(line);
        say(kind, sequence, changedAtMs > 0);
        break;
      }
      case 'lose':
        await this.#world.lose();
    }
  }

  /**
   * Sends the same again as if the reply had been lost, now and then, and holds it to what is promised of that: it says the
   * same, and changes nothing more.
   */
  async #maybeTwice(line: JournalAddress, send: () => Promise<string>): Promise<string> {
    const first = await send();
    if (this.#random.integer(4) > 0) return first;
    const before = await this.#world.contents(line);
    expect(await send()).toBe(first);
    expect(await this.#world.contents(line)).toEqual(before);
    return first;
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#random.integer(items.length)] as T;
  }
}

describe('the fake journal of refresh tokens', () => {
  it('answers random commands as Redis does, and leaves the same behind', async () => {
    const untold = new Set('spend busy missing exhausted ok replaced moved spent ready spending'.split(' '));
    let tooSlow = 0;
    // Until all of that has happened, or the stories would be too dull to prove anything.
    for (let run = 0; run < 40 || untold.size > 0; run++) {
      expect(run, `what never happened: ${[...untold].join(', ')}`).toBeLessThan(200);
      const { seed } = new SeededRandom();
      await redis.client.flushall();
      const startedAtMs = clock.elapsedMs();
      try {
        const real = await new Story(realWorld(), seed).tell(80);
        expect(await new Story(fakeWorld(), seed).tell(80)).toEqual(real);
        for (const word of real.join(' ').split(/\W/)) untold.delete(word);
      } catch (error) {
        // Its times cannot be compared.
        if (clock.elapsedMs() - startedAtMs < STEP_MS / 2) throw new Error(`seed ${String(seed)}`, { cause: error });
        expect(++tooSlow, 'this machine is too slow to compare times').toBeLessThan(10);
      }
    }
  }, 60_000);
});
