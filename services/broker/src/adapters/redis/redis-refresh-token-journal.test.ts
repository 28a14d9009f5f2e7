import { createSystemClock, delay } from '@token-broker/foundation';
import { startRedisReplica, VirtualClock } from '@token-broker/testing';
import { Redis } from 'ioredis';
import { beforeEach, describe, expect, it } from 'vitest';
import { FakeRedis } from '../../app/fakes/fake-redis.js';
import { FakeRefreshTokenJournal } from '../../app/fakes/fake-refresh-token-journal.js';
import type { RefreshTokenJournal, SpendReply } from '../../app/ports/refresh-token-journal.js';
import type { StoreError } from '../../app/ports/store.js';
import { redisOfFile, redisTimePasses } from './fakes/redis-of-file.js';
import { createKeys } from './keys.js';
import { RedisRefreshTokenJournal } from './redis-refresh-token-journal.js';

const LONG_MS = 60_000;
/** How long an owner whose time is over is called for. */
const CALL_MS = 1_000;
const SEEDS_KEPT = 100;

interface Bed {
  readonly journal: RefreshTokenJournal;
  /** Lets time go by for Redis. */
  pass(ms: number): Promise<void>;
  loseEverything(): Promise<unknown>;
}

const systemClock = createSystemClock();
const redis = redisOfFile();

function realJournal(of = redis.client, durableReplicas = 0): RefreshTokenJournal {
  const durability = { durableReplicas, commandTimeoutMs: 10_000 };
  return new RedisRefreshTokenJournal({ client: of, namespace: 'test', ...durability, onError: () => undefined });
}

async function realBed(): Promise<Bed> {
  await redis.client.flushall();
  return {
    journal: realJournal(),
    pass: (ms) => redisTimePasses(redis, ms),
    loseEverything: () => redis.client.flushall(),
  };
}

function fakeBed(): Promise<Bed> {
  const clock = new VirtualClock();
  const redis = new FakeRedis(clock, 1);
  return Promise.resolve({
    journal: new FakeRefreshTokenJournal(redis),
    pass: (ms) => clock.advance(ms),
    loseEverything: () => {
      redis.flush();
      return Promise.resolve();
    },
  });
}

const line = { source: 'payments-api', upstream: 'u1' };
const bytes = (text: string): Uint8Array => Buffer.from(text);
const first = { family: 'f1', sequence: 0 };

let journal: RefreshTokenJournal;
let bed: Bed;

/** What is spent, as text. */
function spentOf(reply: SpendReply): string {
  if (reply.kind !== 'spend') return reply.kind;
  const { family, sequence, sealed } = reply.entry;
  return `${family}:${String(sequence)} ${Buffer.from(sealed).toString()}`;
}

async function spend(attempt: string, callMs = LONG_MS): Promise<string> {
  return spentOf(await journal.spend(line, attempt, callMs));
}

async function succeed(attempt: string, spent: typeof first, successor: string): Promise<string> {
  return (await journal.succeed(line, attempt, spent, bytes(successor))).kind;
}

const keep = (attempt: string, spent: typeof first, sealed: string): Promise<string> =>
  journal.keep(line, attempt, spent, bytes(sealed));

describe.each([
  ['Redis', realBed],
  ['the fake', fakeBed],
])('the journal of refresh tokens on %s', (_, createBed) => {
  beforeEach(async () => {
    bed = await createBed();
    journal = bed.journal;
  });

  it('has none until an operator puts one there, and none after everything was lost', async () => {
    expect(await spend('a1')).toBe('missing');
    expect(await journal.state(line)).toEqual({ kind: 'missing', sequence: 0, changedAtMs: 0 });
    expect(await journal.seed(line, 'f1', bytes('t0'), 'h0')).toEqual({ kind: 'ok', replaced: false, replicas: 0 });
    expect(await journal.state(line)).toMatchObject({ kind: 'ready', sequence: 0 });
    expect((await journal.state(line)).changedAtMs).toBeGreaterThan(0);
    expect(await spend('a1')).toBe('f1:0 t0');
    await bed.loseEverything();
    expect(await spend('a2')).toBe('missing');
    expect(await succeed('a1', first, 't1')).toBe('replaced');
    expect(await journal.exhaust(line, 'a1', first)).toBe('moved');
  });

  it('keeps lines of other sources and upstreams apart', async () => {
    await journal.seed(line, 'f1', bytes('t0'), 'h0');
    for (const other of [
      { ...line, source: 'orders-api' },
      { ...line, upstream: 'u2' },
    ]) {
      expect((await journal.spend(other, 'a1', LONG_MS)).kind).toBe('missing');
      expect((await journal.seed(other, 'f2', bytes('t0'), 'h0')).kind).toBe('ok');
    }
    expect(await spend('a1')).toBe('f1:0 t0');
  });

  describe('with a family', () => {
    beforeEach(async () => {
      await journal.seed(line, 'f1', bytes('t0'), 'h0');
    });

    it('is spent by one attempt, and by the next one after the outcome', async () => {
      expect(await spend('a1')).toBe('f1:0 t0');
      const second = await journal.spend(line, 'a2', LONG_MS);
      expect(second.kind === 'busy' && second.remainingMs > 0 && second.remainingMs <= LONG_MS).toBe(true);
      expect(await journal.state(line)).toMatchObject({ kind: 'spending', sequence: 0 });
      expect(await succeed('a1', first, 't1')).toBe('ok');
      expect(await journal.state(line)).toMatchObject({ kind: 'ready', sequence: 1 });
      expect(await spend('a2')).toBe('f1:1 t1');
    });

    it('takes every command again after a lost reply', async () => {
      expect([await spend('a1'), await spend('a1')]).toEqual(['f1:0 t0', 'f1:0 t0']);
      expect([await succeed('a1', first, 't1'), await succeed('a1', first, 't1')]).toEqual(['ok', 'ok']);
      await spend('a2');
      await journal.release(line, 'a2');
      await journal.release(line, 'a2');
      await spend('a3');
      const spent = { family: 'f1', sequence: 1 };
      expect(await journal.exhaust(line, 'a3', spent)).toBe('exhausted');
      expect(await journal.exhaust(line, 'a3', spent)).toBe('exhausted');
      const seeded = { kind: 'ok', replaced: true, replicas: 0 };
      expect(await journal.seed(line, 'f2', bytes('u0'), 'h1')).toEqual(seeded);
      expect(await journal.seed(line, 'f2', bytes('u0'), 'h1')).toEqual(seeded);
      expect(await spend('a4')).toBe('f2:0 u0');
    });

    it('is not rotated by what is told again when another attempt already spends the successor', async () => {
      await spend('a1');
      await succeed('a1', first, 't1');
      expect(await spend('a2')).toBe('f1:1 t1');
      expect(await succeed('a1', first, 't1')).toBe('ok');
      expect((await journal.state(line)).kind).toBe('spending');
      expect(await succeed('a2', { family: 'f1', sequence: 1 }, 't2')).toBe('ok');
      expect(await succeed('a1', first, 't1')).toBe('replaced');
      expect(await spend('a3')).toBe('f1:2 t2');
    });

    it('is free at once when it is released, and stays what it was', async () => {
      await spend('a1');
      await journal.release(line, 'a2');
      expect(await spend('a2')).toBe('busy');
      await journal.release(line, 'a1');
      expect(await spend('a2')).toBe('f1:0 t0');
    });

    it('stays at its place, sealed anew, when the provider gave no successor: one that another use brought still counts', async () => {
      await spend('a1');
      expect(await keep('a2', first, 'of another')).toBe('ok');
      expect(await spend('a2')).toBe('busy');
      expect(await keep('a1', first, 't0 anew')).toBe('ok');
      expect(await keep('a1', first, 't0 anew')).toBe('ok');
      expect(await spend('a2')).toBe('f1:0 t0 anew');
      expect(await succeed('lost', first, 't1')).toBe('ok');
      expect(await keep('a2', first, 't0 late')).toBe('ok');
      expect(await spend('a3')).toBe('f1:1 t1');
      const other = { ...first, family: 'f0' };
      expect(await keep('a3', other, 'of another family')).toBe('replaced');
      expect(await journal.exhaust(line, 'a3', { ...first, sequence: 1 })).toBe('exhausted');
      expect(await keep('a3', first, 't0 late')).toBe('replaced');
    });

    it('is over when its current token is refused, and a successor that comes later changes nothing', async () => {
      await spend('a1');
      expect(await journal.exhaust(line, 'a1', first)).toBe('exhausted');
      expect(await journal.spend(line, 'a2', LONG_MS)).toEqual({ kind: 'exhausted', family: 'f1' });
      expect(await succeed('a1', first, 't1')).toBe('replaced');
      expect(await journal.state(line)).toMatchObject({ kind: 'exhausted', sequence: 0 });
    });

    it('is not over when an earlier token is refused', async () => {
      await spend('a1');
      await succeed('a1', first, 't1');
      expect(await journal.exhaust(line, 'late', first)).toBe('moved');
      expect(await journal.exhaust(line, 'late', { family: 'f0', sequence: 1 })).toBe('moved');
      expect(await spend('a2')).toBe('f1:1 t1');
    });

    it('calls for an owner whose time is over, which can still tell its successor', async () => {
      await spend('owner', 5);
      await bed.pass(5);
      expect((await journal.state(line)).kind).toBe('ready');
      expect(await journal.spend(line, 'a2', LONG_MS)).toEqual({ kind: 'busy', remainingMs: CALL_MS });
      expect(await spend('a3')).toBe('busy');
      expect(await succeed('owner', first, 't1')).toBe('ok');
      expect(await spend('a2')).toBe('f1:1 t1');
    });

    it('is taken over from an owner that was called for and told nothing', async () => {
      await spend('owner', 5);
      await bed.pass(5);
      expect(await spend('a2')).toBe('busy');
      await bed.pass(CALL_MS);
      expect(await spend('a3')).toBe('f1:0 t0');
      const other = await journal.spend(line, 'a2', LONG_MS);
      expect(other.kind === 'busy' && other.remainingMs > CALL_MS).toBe(true);
      expect(await spend('owner')).toBe('busy');
    });

    describe('that was taken over', () => {
      beforeEach(async () => {
        await spend('owner', 1);
        await bed.pass(1);
        await spend('heir');
        await bed.pass(CALL_MS);
        expect(await spend('heir')).toBe('f1:0 t0');
      });

      it('still takes the successor of the first owner, and lets the heir have a try with that', async () => {
        expect(await succeed('owner', first, 't1')).toBe('ok');
        expect(await spend('a4')).toBe('busy');
        expect(await journal.exhaust(line, 'heir', first)).toBe('moved');
        expect(await spend('heir')).toBe('f1:1 t1');
      });

      it('is not ended by what was refused to the first owner while the heir has not told its outcome', async () => {
        expect(await journal.exhaust(line, 'owner', first)).toBe('moved');
        await journal.release(line, 'owner');
        expect(await spend('owner')).toBe('busy');
        expect(await succeed('heir', first, 't1')).toBe('ok');
        expect(await succeed('owner', first, 'other')).toBe('replaced');
        expect(await spend('a4')).toBe('f1:1 t1');
      });

      it('takes one of two successors, and ends the intent of both', async () => {
        expect(await succeed('owner', first, 't1')).toBe('ok');
        expect(await succeed('heir', first, 'other')).toBe('replaced');
        expect(await spend('a4')).toBe('f1:1 t1');
      });
    });

    it('gives way to a family that an operator puts there, also while it is spent', async () => {
      await spend('a1');
      expect(await journal.seed(line, 'f2', bytes('u0'), 'h1')).toMatchObject({ kind: 'ok', replaced: true });
      expect(await spend('a2')).toBe('f2:0 u0');
      expect(await succeed('a1', first, 't1')).toBe('replaced');
      expect(await journal.exhaust(line, 'a1', first)).toBe('moved');
      expect(await spend('a3')).toBe('busy');
      expect(await succeed('a2', { family: 'f2', sequence: 0 }, 'u1')).toBe('ok');
      expect(await spend('a3')).toBe('f2:1 u1');
    });

    it('lives again with another token after it was over, and refuses one that has begun a family', async () => {
      await spend('a1');
      await journal.exhaust(line, 'a1', first);
      expect(await journal.seed(line, 'f2', bytes('t0'), 'h0')).toEqual({ kind: 'spent' });
      expect((await journal.state(line)).kind).toBe('exhausted');
      expect((await journal.seed(line, 'f3', bytes('u0'), 'h1')).kind).toBe('ok');
      expect(await journal.seed(line, 'f4', bytes('t0'), 'h0')).toEqual({ kind: 'spent' });
      expect(await spend('a2')).toBe('f3:0 u0');
    });

    it('takes the token that it began with again while nobody has spent it', async () => {
      const again = { kind: 'ok', replaced: false };
      expect(await journal.seed(line, 'f2', bytes('sealed anew'), 'h0')).toMatchObject(again);
      expect(await spend('a1')).toBe('f2:0 sealed anew');
      // Under way: what comes back belongs to the family that spends it.
      expect(await journal.seed(line, 'f3', bytes('t0'), 'h0')).toMatchObject(again);
      expect(await succeed('a1', { family: 'f2', sequence: 0 }, 't1')).toBe('ok');
      expect(await journal.seed(line, 'f4', bytes('t0'), 'h0')).toEqual({ kind: 'spent' });
    });

    it('knows the newest of the tokens that began a family, and forgets the oldest', async () => {
      for (let n = 1; n < SEEDS_KEPT; n++) await journal.seed(line, `f${String(n + 1)}`, bytes('t'), `h${String(n)}`);
      expect((await journal.seed(line, 'again', bytes('t'), 'h0')).kind).toBe('spent');
      await journal.seed(line, 'one more', bytes('t'), 'h100');
      expect((await journal.seed(line, 'again', bytes('t'), 'h1')).kind).toBe('spent');
      expect((await journal.seed(line, 'again', bytes('t'), 'h0')).kind).toBe('ok');
    });
  });
});

describe('the journal on Redis', () => {
  const keys = createKeys('test').journal(line.source, line.upstream);

  beforeEach(async () => {
    await realBed();
    journal = realJournal();
  });

  it('never expires, and keeps its keys on one node of a Cluster', async () => {
    await journal.seed(line, 'f1', bytes('t0'), 'h0');
    await spend('a1');
    await succeed('a1', first, 't1');
    const found = await redis.client.keys('*');
    expect(found.sort()).toEqual([keys.journal, keys.seeds]);
    for (const key of found) {
      expect(await redis.client.pttl(key)).toBe(-1);
      expect(key.startsWith('{test:journal:payments-api}:')).toBe(true);
    }
  });

  it('sets aside what is not of its own writing', async () => {
    await redis.client.set(keys.journal, 'what is this');
    await redis.client.set(keys.seeds, 'and this');
    expect(await spend('a1')).toBe('missing');
    expect(await redis.client.get(`${keys.journal}:set-aside`)).toBe('what is this');
    expect((await journal.seed(line, 'f1', bytes('t0'), 'h0')).kind).toBe('ok');
    expect(await redis.client.get(`${keys.seeds}:set-aside`)).toBe('and this');
    expect(await spend('a1')).toBe('f1:0 t0');
  });

  it('does not wait for the time of a clock that was ahead', async () => {
    await journal.seed(line, 'f1', bytes('t0'), 'h0');
    await spend('owner', 5);
    const farAhead = String(systemClock.wallMs() + 10 * LONG_MS);
    await redis.client.hset(keys.journal, 'until', farAhead);
    const busy = await journal.spend(line, 'a2', LONG_MS);
    expect(busy.kind === 'busy' && busy.remainingMs).toBe(5);
    await delay(systemClock, 20);
    await redis.client.hset(keys.journal, 'calledAt', farAhead);
    expect(await journal.spend(line, 'a2', LONG_MS)).toEqual({ kind: 'busy', remainingMs: CALL_MS });
    expect(Number(await redis.client.hget(keys.journal, 'calledAt'))).toBeLessThan(Number(farAhead));
  });

  it('has room for a successor when memory is full, and begins no call then', async () => {
    await journal.seed(line, 'f1', bytes('t0'), 'h0');
    await spend('a1');
    await journal.release(line, 'a1');
    await redis.client.config('SET', 'maxmemory', '1');
    try {
      const error = (await journal.spend(line, 'a2', LONG_MS).catch((e: unknown) => e)) as StoreError;
      expect(error).toMatchObject({ name: 'StoreError', command: 'journalSpend', outcome: 'refused' });
      expect(await succeed('a1', first, 't1')).toBe('ok');
      expect((await journal.seed(line, 'f2', bytes('u0'), 'h1')).kind).toBe('ok');
    } finally {
      await redis.client.config('SET', 'maxmemory', '0');
    }
    expect(await spend('a2')).toBe('f2:0 u0');
  });

  it('says how many replicas have confirmed a seed and a successor, also when they are sent again', async () => {
    const replica = await startRedisReplica({ of: redis.server });
    // Another connection for each: one that has written nothing would be told of replicas that know nothing.
    const clients = [1, 2].map(() => new Redis({ host: redis.server.host, port: redis.server.port }));
    const [one = journal, two = journal] = clients.map((of) => realJournal(of, 1));
    try {
      expect(await one.seed(line, 'f1', bytes('t0'), 'h0')).toMatchObject({ replicas: 1 });
      await spend('a1');
      expect(await one.succeed(line, 'a1', first, bytes('t1'))).toEqual({ kind: 'ok', replicas: 1 });
      expect(await two.succeed(line, 'a1', first, bytes('t1'))).toEqual({ kind: 'ok', replicas: 1 });
      expect(await two.succeed(line, 'a2', first, bytes('t1'))).toEqual({ kind: 'replaced', replicas: 0 });
    } finally {
      for (const of of clients) of.disconnect();
      await replica.stop();
    }
  });
});
