import { createSystemClock } from '@token-broker/foundation';
import { SeededRandom, startRedis, VirtualClock, type RedisServer } from '@token-broker/testing';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { FakeRedis } from '../../app/fakes/fake-redis.js';
import { FakeStore } from '../../app/fakes/fake-store.js';
import type { InvalidationTarget, SlotAddress, Store } from '../../app/ports/store.js';
import { RedisStore } from './redis-store.js';

const SLOTS = ['AAAAAAAAAAAAAAAAAAAAAA', 'AAAAAAAAAAAAAAAAAAAAAE'];
const LONG_MS = 60_000;

let server: RedisServer;
let client: Redis;

beforeAll(async () => {
  server = await startRedis();
  client = new Redis({ host: server.host, port: server.port });
});

afterAll(async () => {
  client.disconnect();
  await server.stop();
});

interface World {
  readonly stores: readonly Store[];
  lose(): Promise<unknown>;
}

function realWorld(): World {
  const options = { client, namespace: 'test', partitions: 1, clock: createSystemClock(), durableReplicas: 0 };
  const store = (broker: string): Store =>
    new RedisStore({ ...options, broker, commandTimeoutMs: 1_000, onError: () => undefined });
  return { stores: [store('b1'), store('b2')], lose: () => client.flushall() };
}

function fakeWorld(): World {
  const clock = new VirtualClock();
  const redis = new FakeRedis(clock, 1);
  return {
    stores: [new FakeStore(redis, 'b1'), new FakeStore(redis, 'b2')],
    lose: () => {
      redis.flush();
      return clock.advance(1);
    },
  };
}

/** Numbers as they come up: two worlds with different clocks tell the same story. */
class Names {
  readonly #values: number[] = [];

  of(value: number): string {
    if (value === 0) return '0';
    if (!this.#values.includes(value)) this.#values.push(value);
    return `#${String(this.#values.indexOf(value))}`;
  }
}

/** Runs the commands that the seed gives on one world, and tells what it answered. */
async function story(world: World, seed: number, length: number): Promise<string[]> {
  const random = new SeededRandom(seed);
  const pick = <T>(items: readonly [T, ...T[]]): T => items[random.integer(items.length)] ?? items[0];
  const [generations, epochs, policies] = [new Names(), new Names(), new Names()];
  const known = { floor: 0, generation: 0, epoch: 0, policies: [0] };
  const reservations = new Map<string, { generation: number; epoch: number; redisMs: number }>();
  const lines: string[] = [];

  const address = (): SlotAddress => ({
    slot: pick(['AAAAAAAAAAAAAAAAAAAAAA', 'AAAAAAAAAAAAAAAAAAAAAE']),
    partition: 0,
    source: pick(['s1', 's2']),
    provider: 'oauth2',
    recipe: pick(['r1', 'r1', 'r2']),
  });
  const target = (): InvalidationTarget =>
    pick<InvalidationTarget>([
      { kind: 'slot', slot: SLOTS[0] ?? '' },
      { kind: 'slot', slot: SLOTS[1] ?? '' },
      { kind: 'source', source: 's1' },
      { kind: 'provider', provider: 'oauth2' },
      { kind: 'all' },
    ]);

  for (let i = 0; i < length; i++) {
    const store = pick(world.stores as [Store, Store]);
    const attempt = pick(['a1', 'a2', 'a3', 'a4']);
    const command = pick([
      'reserve',
      'reserve',
      'reserve',
      'commit',
      'commit',
      'commit',
      'read',
      'revoke',
      'fail',
      'reject',
      'policy',
      'lease',
      'list',
      'lose',
    ]);
    const policy = pick(known.policies as [number, ...number[]]);
    const [to, want, floor] = [address(), pick([0, known.generation]), pick([0, known.floor, known.floor])];
    const say = (...words: (string | number | boolean)[]): void => void lines.push([command, ...words].join(' '));
    switch (command) {
      case 'read': {
        const reply = await store.read(to, policy);
        say(reply.kind, epochs.of(reply.asOf.epoch), reply.asOf.vseq);
        if (reply.kind === 'failed') {
          say(reply.code, reply.message);
          break;
        }
        known.floor = reply.floor;
        say(generations.of(reply.floor));
        if (reply.kind === 'hit') {
          known.generation = reply.record.generation;
          say(generations.of(reply.record.generation), Buffer.from(reply.record.sealed).toString());
          if (reply.channel !== undefined) say('channel', generations.of(reply.channel.version));
        }
        break;
      }
      case 'reserve': {
        const reply = await store.reserve({
          address: to,
          wantGreaterThan: want,
          floor,
          attempt,
          callMs: LONG_MS,
          policy,
        });
        say(attempt, reply.kind, epochs.of(reply.asOf.epoch));
        if (reply.kind === 'go') {
          say(generations.of(reply.generation));
          const { epoch, redisMs } = reply.asOf;
          reservations.set(attempt, { generation: reply.generation, epoch, redisMs });
        }
        if (reply.kind === 'relock') known.floor = reply.floor;
        break;
      }
      case 'commit': {
        const reserved = reservations.get(attempt);
        if (reserved === undefined) break;
        const reply = await store.commit({
          address: to,
          attempt,
          epoch: reserved.epoch,
          generation: reserved.generation,
          expiresAtMs: reserved.redisMs + LONG_MS,
          usableUntilMs: reserved.redisMs + LONG_MS / 2,
          sealed: Buffer.from(`sealed ${String(i)}`),
          tokenHash: pick(['h1', 'h2']),
          policy,
          channelCandidate: Buffer.from(`channel ${String(i)}`),
        });
        say(attempt, reply.kind);
        if (reply.kind === 'ok') {
          known.generation = reply.generation;
          known.epoch = reply.asOf.epoch;
          say(
            generations.of(reply.generation),
            reply.channel === undefined ? '' : Buffer.from(reply.channel.sealed).toString(),
          );
        }
        break;
      }
      case 'fail': {
        const pauseMs = await store.fail({
          address: to,
          attempt,
          code: 'IDP_DENIED',
          message: 'no',
          retryAfterMs: pick([0, LONG_MS]),
          backoffFirstMs: LONG_MS,
          backoffMaxMs: 4 * LONG_MS,
          uniform: 0.5,
        });
        say(attempt, pauseMs ?? 'gone');
        break;
      }
      case 'reject': {
        const reply = await store.reject(to, known.epoch, known.generation, LONG_MS);
        say(reply.kind, generations.of(reply.floor), reply.asOf.vseq);
        break;
      }
      case 'revoke': {
        const of = target();
        const reply = await store.revoke(of, 0, `${pick(['one', 'two'])} ${String(i >> 3)}`, pick([undefined, policy]));
        say(JSON.stringify(of), generations.of(reply.floor), reply.vseq, reply.brokers.length);
        say(
          await store.confirm(of, 0, reply.asOf.epoch, reply.floor),
          await store.confirm(of, 0, known.epoch, reply.floor),
        );
        break;
      }
      case 'policy': {
        const version = await store.registerPolicy(pick(['one', 'two']));
        known.policies = [version, version, policy];
        say(policies.of(version));
        break;
      }
      case 'lease': {
        const [reply] = await store.lease([{ partition: 0, epoch: known.epoch, applied: pick([0, 1, 5]) }], LONG_MS);
        known.epoch = reply?.asOf.epoch ?? 0;
        const entries = reply?.entries?.map(({ vseq, floor: of, target: hit }) => [vseq, generations.of(of), hit]);
        say(
          [...(reply?.brokers ?? [])].sort().join(','),
          reply?.policyFingerprint ?? '',
          JSON.stringify(entries ?? 'reset'),
        );
        break;
      }
      case 'list': {
        const { slots } = await store.list({ source: to.source }, 10);
        say(...slots.map(({ slot, generation }) => `${slot}=${generations.of(generation)}`).sort());
        break;
      }
      case 'lose':
        if (random.integer(4) === 0) {
          await world.lose();
          say('everything');
        }
        break;
    }
  }
  return lines;
}

it('answers random commands on the fake as on Redis', async () => {
  const kinds = new Set<string>();
  for (let run = 0; run < 60; run++) {
    const { seed } = new SeededRandom();
    await client.flushall();
    const [real, fake] = [await story(realWorld(), seed, 120), await story(fakeWorld(), seed, 120)];
    expect(fake, `seed ${String(seed)}`).toEqual(real);
    for (const line of real)
      kinds.add(
        line
          .split(' ')
          .slice(0, 3)
          .join(' ')
          .replaceAll(/a\d|#\d+/g, ''),
      );
  }
  // Or the story would be too dull to prove anything.
  const all = [...kinds].join('\n');
  for (const kind of [
    'hit',
    'miss',
    'go',
    'busy',
    'relock',
    'failed',
    'policy',
    'ok',
    'dead',
    'lost',
    'epoch',
    'replayed',
  ])
    expect(all).toContain(kind);
});
