import { createAesGcm, delay, Redacted } from '@token-broker/foundation';
import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { FakeRedis } from '../fakes/fake-redis.js';
import { FakeRefreshTokenJournal } from '../fakes/fake-refresh-token-journal.js';
import { away, repliesLost } from '../fakes/fake-store.js';
import { RecordedLog } from '../fakes/recorded-telemetry.js';
import { Keyring, type KeyringKey } from '../tokens/keyring.js';
import { StoreError } from '../ports/store.js';
import { RefreshTokens, type Spend } from './refresh-tokens.js';

const CALL_MS = 10_000;
const random = new SeededRandom(4);
const aead = createAesGcm(random);
const key = (id: string, fill: number): KeyringKey => ({ id, secret: new Redacted(new Uint8Array(32).fill(fill)) });
const [OLD, NEW] = [key('2026-10', 1), key('2026-11', 2)];
const source = { configuration: { name: 'payments-api' }, upstream: 'u1' };

let clock: VirtualClock;
let redis: FakeRedis;
let log: RecordedLog;
let one: Replica;
let two: Replica;

interface Replica {
  readonly tokens: RefreshTokens;
  readonly journal: FakeRefreshTokenJournal;
  readonly keyring: Keyring;
}

function replica(...keys: [KeyringKey, ...KeyringKey[]]): Replica {
  const journal = new FakeRefreshTokenJournal(redis);
  const keyring = new Keyring(aead, keys);
  const recipeKey = (): Uint8Array => new Uint8Array(32).fill(7);
  const tokens = new RefreshTokens({ clock, random, journal, keyring, log, recipeKey }, 'test');
  return { tokens, journal, keyring };
}

/** Lets time go by until it has ended. */
async function ended<T>(work: Promise<T>): Promise<T> {
  const open = new Set<Promise<T>>([work]);
  const over = (): void => void open.delete(work);
  work.then(over, over);
  await clock.settle();
  while (open.size > 0) {
    const nextMs = clock.nextTimerInMs;
    if (nextMs === undefined) throw new Error('nothing will end it');
    await clock.advance(nextMs);
  }
  return work;
}

const seed = (token: string, at = one): ReturnType<RefreshTokens['seed']> =>
  ended(at.tokens.seed(source, new Redacted(token)));
const spend = (attempt: string, at = one): Promise<Spend> => ended(at.tokens.spend(source, attempt, CALL_MS));

async function spent(attempt: string, at = one): Promise<Extract<Spend, { kind: 'spend' }>> {
  const reply = await spend(attempt, at);
  if (reply.kind !== 'spend') throw new Error(`expected a token, got ${reply.kind}`);
  return reply;
}

const tokenOf = async (attempt: string, at = one): Promise<string> => (await spent(attempt, at)).token.reveal();

/** Takes the place of the process: what it has begun goes on nowhere. */
const crash = (of: Replica): void => void (of.journal.wire = { toRedis: () => new Promise(() => undefined) });

beforeEach(() => {
  clock = new VirtualClock();
  redis = new FakeRedis(clock, 1);
  log = new RecordedLog();
  [one, two] = [replica(OLD), replica(OLD)];
});

describe('refresh tokens', () => {
  it('are given to one of two replicas that ask at once, and the successor to the other', async () => {
    await seed('t0');
    const both = await Promise.all([one.tokens.spend(source, 'a1', CALL_MS), two.tokens.spend(source, 'a2', CALL_MS)]);
    expect(both.map(({ kind }) => kind)).toEqual(['spend', 'busy']);
    const [first] = both;
    if (first.kind !== 'spend') throw new Error('it was not spent');
    expect(await ended(one.tokens.succeed(source, 'a1', first.spent, new Redacted('t1')))).toBe('ok');
    expect(await tokenOf('a2', two)).toBe('t1');
    expect(await one.tokens.state(source)).toMatchObject({ kind: 'spending', sequence: 1 });
  });

  it('are missing before the first seed and after everything was lost', async () => {
    expect(await spend('a1')).toEqual({ kind: 'missing' });
    await seed('t0');
    const { spent: of } = await spent('a1');
    redis.flush();
    expect(await ended(one.tokens.succeed(source, 'a1', of, new Redacted('t1')))).toBe('replaced');
    expect(await spend('a2')).toEqual({ kind: 'missing' });
    expect(log.lines).toMatchObject([{ level: 'warn', fields: { source: 'payments-api', sequence: 1 } }]);
  });

  it('stay when they are released, and when the provider gives no other', async () => {
    await seed('t0');
    await spent('a1');
    await ended(one.tokens.release(source, 'a1'));
    const { token, spent: of } = await spent('a2', two);
    expect(await ended(two.tokens.keep(source, 'a2', of, token))).toBe('ok');
    expect(await tokenOf('a3')).toBe('t0');
  });

  it('end with the refusal of the current one, and begin again with another from an operator', async () => {
    await seed('t0');
    const { spent: of } = await spent('a1');
    expect(await ended(one.tokens.exhaust(source, 'a1', of))).toBe('exhausted');
    expect(await spend('a2', two)).toEqual({ kind: 'exhausted', family: of.family });
    expect(await seed('t0', two)).toEqual({ kind: 'spent' });
    expect(await seed('u0', two)).toMatchObject({ kind: 'ok', replaced: true });
    expect(await tokenOf('a3')).toBe('u0');
  });

  it('do not go back when an operator replaces the family while it is spent', async () => {
    await seed('t0');
    const { spent: of } = await spent('a1');
    await seed('u0', two);
    expect(await ended(one.tokens.succeed(source, 'a1', of, new Redacted('t1')))).toBe('replaced');
    expect(await tokenOf('a2', two)).toBe('u0');
    expect(await ended(one.tokens.exhaust(source, 'a1', of))).toBe('moved');
  });

  describe('whose owner is gone', () => {
    beforeEach(async () => {
      await seed('t0');
    });

    it('are called for, and then given to another', async () => {
      await spent('a1');
      crash(one);
      await clock.advance(CALL_MS - 1);
      expect(await spend('a2', two)).toEqual({ kind: 'busy', remainingMs: 1 });
      await clock.advance(1);
      expect(await spend('a2', two)).toEqual({ kind: 'busy', remainingMs: 1_000 });
      await clock.advance(999);
      expect(await spend('a2', two)).toEqual({ kind: 'busy', remainingMs: 1 });
      await clock.advance(1);
      expect(await tokenOf('a2', two)).toBe('t0');
    });

    it('are kept for one that comes back while it is called for: its successor is the next one spent', async () => {
      const { spent: of } = await spent('a1');
      one.journal.wire = away();
      const failed = expect(one.tokens.succeed(source, 'a1', of, new Redacted('t1'))).rejects.toThrow(StoreError);
      await clock.advance(2 * CALL_MS);
      await failed;
      expect((await spend('a2', two)).kind).toBe('busy');
      // Redis is reached again, at the worst moment: right after a try.
      await clock.advance(1);
      one.journal.wire = {};
      await clock.advance(999);
      expect(await tokenOf('a2', two)).toBe('t1');
    });

    it('are not given to one that was suspended until its time was over', async () => {
      one.journal.wire = {
        fromRedis: (command) => (command === 'journalSpend' ? delay(clock, CALL_MS) : undefined),
      };
      expect(await spend('a1')).toEqual({ kind: 'busy', remainingMs: 0 });
      expect(await tokenOf('a2', two)).toBe('t0');
    });
  });

  describe('when replies are lost', () => {
    it.each([1, 3])('are spent once and rotated once, with each reply lost %i times', async (times) => {
      const losing = (command: string): void => void (one.journal.wire = repliesLost(command, times));
      losing('journalSeed');
      expect(await seed('t0')).toMatchObject({ kind: 'ok', replaced: false });
      losing('journalSpend');
      const { spent: of, token } = await spent('a1');
      expect([token.reveal(), of.sequence]).toEqual(['t0', 0]);
      losing('journalSucceed');
      expect(await ended(one.tokens.succeed(source, 'a1', of, new Redacted('t1')))).toBe('ok');
      expect(await one.tokens.state(source)).toMatchObject({ kind: 'ready', sequence: 1 });
      await spent('a2');
      losing('journalRelease');
      await ended(one.tokens.release(source, 'a2'));
      const last = await spent('a3', two);
      expect(last.token.reveal()).toBe('t1');
      two.journal.wire = repliesLost('journalExhaust', times);
      expect(await ended(two.tokens.exhaust(source, 'a3', last.spent))).toBe('exhausted');
    });

    it('release does its best: others wait until the time is over', async () => {
      await seed('t0');
      await spent('a1');
      one.journal.wire = away();
      await ended(one.tokens.release(source, 'a1'));
      expect(log.lines).toMatchObject([{ level: 'warn' }]);
      expect((await spend('a2', two)).kind).toBe('busy');
    });
  });

  describe('whose successor is owed', () => {
    beforeEach(async () => {
      await seed('t0');
    });

    it('are sent at least every 500 ms until Redis answers, and then no more', async () => {
      const { spent: of } = await spent('a1');
      const sentAtMs: number[] = [];
      one.journal.wire = {
        toRedis: (command) => {
          sentAtMs.push(clock.elapsedMs());
          // Every other one is never answered.
          if (sentAtMs.length % 2 === 0) return new Promise(() => undefined);
          throw new StoreError(command, sentAtMs.length % 3 === 0 ? 'refused' : 'unknown', 'away');
        },
      };
      await expect(ended(one.tokens.succeed(source, 'a1', of, new Redacted('t1')))).rejects.toThrow(StoreError);
      let isSettled = false;
      void one.tokens.settle().then(() => (isSettled = true));
      await clock.advance(60_000);
      const gaps = sentAtMs.slice(1).map((at, i) => at - (sentAtMs[i] ?? 0));
      expect(gaps.length).toBeGreaterThan(60_000 / 500);
      expect(Math.max(...gaps)).toBeLessThanOrEqual(500);
      expect(isSettled).toBe(false);
      one.journal.wire = {};
      await clock.advance(500);
      expect([isSettled, clock.pendingTimers]).toEqual([true, 0]);
      expect(await one.tokens.state(source)).toMatchObject({ kind: 'ready', sequence: 1 });
      expect(log.lines.map(({ level }) => level)).toEqual(['error', 'info']);
    });

    it('count also when the answer comes after the next one was sent', async () => {
      const { spent: of } = await spent('a1');
      let sent = 0;
      one.journal.wire = {
        fromRedis: () => {
          sent++;
          return delay(clock, 700);
        },
      };
      expect(await ended(one.tokens.succeed(source, 'a1', of, new Redacted('t1')))).toBe('ok');
      await clock.advance(5_000);
      expect([sent, clock.pendingTimers]).toEqual([2, 0]);
    });

    it('are told as too late when a family has taken their place meanwhile', async () => {
      const { spent: of } = await spent('a1');
      one.journal.wire = away();
      await expect(ended(one.tokens.succeed(source, 'a1', of, new Redacted('t1')))).rejects.toThrow(StoreError);
      await seed('u0', two);
      one.journal.wire = {};
      await ended(one.tokens.settle());
      expect(await tokenOf('a2')).toBe('u0');
      expect(log.lines.at(-1)).toMatchObject({ level: 'warn', fields: { source: 'payments-api' } });
    });

    it('settle at once where nothing is owed', async () => {
      await one.tokens.settle();
      const { spent: of } = await spent('a1');
      await ended(one.tokens.succeed(source, 'a1', of, new Redacted('t1')));
      await one.tokens.settle();
      expect(clock.pendingTimers).toBe(0);
    });
  });

  describe('and the keys that seal them', () => {
    it('move to the new key with the next use, also where the provider gives no other token', async () => {
      await seed('t0');
      one.keyring.replace([NEW, OLD]);
      const { token, spent: of } = await spent('a1');
      await ended(one.tokens.keep(source, 'a1', of, token));
      expect(await tokenOf('a2', replica(NEW))).toBe('t0');
    });

    it('are an error of the replica that lacks one: the token stays for another', async () => {
      await seed('t0');
      const stranger = replica(NEW);
      expect(await spend('a1', stranger)).toEqual({ kind: 'unreadable', why: 'unknown-key' });
      expect(log.lines).toMatchObject([{ level: 'error', fields: { source: 'payments-api', why: 'unknown-key' } }]);
      expect(await tokenOf('a2')).toBe('t0');
    });

    it('open a token at its own place alone', async () => {
      await seed('t0');
      const other = { ...source, upstream: 'u2' };
      await ended(one.tokens.seed(other, new Redacted('u0')));
      const copy = redis.journals.get('payments-api/u1');
      if (copy === undefined) throw new Error('it is not there');
      redis.journals.set('payments-api/u2', copy);
      expect(await ended(one.tokens.spend(other, 'a1', CALL_MS))).toEqual({ kind: 'unreadable', why: 'corrupt' });
      // Nor as a later one of its family.
      const entry = copy.entry === undefined ? undefined : { ...copy.entry, sequence: 1 };
      redis.journals.set('payments-api/u1', { ...copy, entry });
      expect(await spend('a2')).toEqual({ kind: 'unreadable', why: 'corrupt' });
    });
  });

  it('appear nowhere but in what is returned: not in Redis, not in logs, not in errors', async () => {
    await seed('token-zero');
    const { spent: of, token } = await spent('a1');
    one.journal.wire = away('journalSucceed');
    const error: unknown = await ended(one.tokens.succeed(source, 'a1', of, new Redacted('token-one'))).catch(
      (e: unknown) => e,
    );
    one.journal.wire = {};
    await ended(one.tokens.settle());
    await seed('token-two');
    const seen = JSON.stringify([log.lines, String(error), token, [...redis.journals], of]);
    const sealed = [...redis.journals.values()].map(({ entry }) => Buffer.from(entry?.sealed ?? []).toString('latin1'));
    for (const text of [seen, ...sealed]) expect(text).not.toMatch(/token-(zero|one|two)/);
    expect(sealed[0]?.length).toBeGreaterThan(0);
  });
});
