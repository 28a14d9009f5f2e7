import { isIdentifier, slotOf } from '@token-broker/protocol';
import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createBed, type Bed } from './fakes/bed.js';
import { codeOf, errorOf } from './fakes/code-of.js';
import { accessTokenOf } from './fakes/fake-broker.js';
import { createTokenBroker } from './token-broker.js';

let clock: VirtualClock;
let bed: Bed;

beforeEach(() => {
  clock = new VirtualClock();
  bed = createBed(clock, new SeededRandom(7));
});

afterEach(async () => {
  await bed.close();
});

describe('a client', () => {
  it('has its first token one round trip after it was made', async () => {
    const token = bed.broker.source('payments').get();
    await clock.advance(2 * bed.nats.latencyMs);
    expect((await token).accessToken).toBe(accessTokenOf({ slot: bed.slot, generation: (await token).generation }));
  });

  it('serves what it holds without a request, and always the same object', async () => {
    const handle = bed.broker.source('payments');
    expect(handle.current).toBeUndefined();
    const token = await bed.during(handle.get());
    expect(handle.current).toBe(token);
    expect(await handle.get()).toBe(token);
    expect(bed.server.gets).toHaveLength(1);
    expect(bed.broker.stats()).toMatchObject({ hits: 2, requests: 1, entries: 1 });
  });

  it('hands out tokens that nobody can change, print or turn into JSON by accident', async () => {
    const token = await bed.during(bed.broker.source('payments').get());
    const { accessToken } = token;
    expect(Object.isFrozen(token)).toBe(true);
    expect(() => Object.assign(token, { accessToken: 'mine' })).toThrow(TypeError);
    expect(bed.broker.source('payments').current?.accessToken).toBe(accessToken);
    expect(JSON.stringify(token)).not.toContain(accessToken);
  });

  it('asks for a plain source with an empty body', async () => {
    await bed.during(bed.broker.source('payments').get());
    expect(bed.server.gets).toEqual([undefined]);
  });

  it('names scopes, audience and resource, and knows reordered scopes for the same', async () => {
    const handle = bed.broker.source('payments', { scope: 'write read', audience: 'a' });
    await bed.during(handle.get());
    expect(bed.server.gets).toEqual([{ scope: ['write', 'read'], audience: 'a' }]);
    const same = bed.broker.source('payments', { scope: ['read', 'write', 'read'], audience: 'a' });
    expect(same.slot).toBe(handle.slot);
    expect(same.current).toBe(handle.current);
    expect(bed.broker.source('payments', { scope: 'read' }).current).toBeUndefined();
  });

  it.each([
    [() => bed.broker.source('pay.ments')],
    [() => bed.broker.source('payments', { scope: 'a"b' })],
    [() => bed.broker.source('payments', { audience: 'a\u0000' })],
    [() => createTokenBroker({ connection: bed.connection, caller: 'or ders', clock })],
  ])('refuses what is not well formed before it asks anybody', (make) => {
    expect(make).toThrow(expect.objectContaining({ code: 'BAD_REQUEST' }) as Error);
  });

  it('makes one request for any number of callers at the same moment', async () => {
    const handle = bed.broker.source('payments');
    const tokens = await bed.during(Promise.all(Array.from({ length: 200 }, () => handle.get())));
    expect(new Set(tokens).size).toBe(1);
    expect(bed.server.gets).toHaveLength(1);
    expect(bed.broker.stats().joined).toBe(199);
  });

  it('lets a caller leave, by its signal or its time, without disturbing the others (K10)', async () => {
    bed.server.heldMs = 500;
    const handle = bed.broker.source('payments');
    const aborting = new AbortController();
    const left = errorOf(handle.get({ signal: aborting.signal }));
    const hasty = codeOf(handle.get({ timeoutMs: 50 }));
    const patient = handle.get();
    await clock.advance(100);
    aborting.abort(new Error('not needed any more'));
    expect(await left).toMatchObject({ message: 'not needed any more' });
    expect(await hasty).toBe('DEADLINE');
    expect((await bed.during(patient, 500)).tokenType).toBe('Bearer');
    expect(bed.server.gets).toHaveLength(1);
  });

  it('asks again when nothing is heard for 3 s: the broker that took the request may be gone', async () => {
    let asked = 0;
    bed.server.tamper = (reply) => (++asked === 1 ? undefined : reply);
    const token = bed.broker.source('payments').get();
    await clock.advance(2_900);
    expect(bed.server.gets).toHaveLength(1);
    expect((await bed.during(token, 200)).tokenType).toBe('Bearer');
    expect(bed.server.gets).toHaveLength(2);
  });

  it('asks nobody for a caller whose signal is aborted already', async () => {
    await bed.during(bed.broker.source('payments').get());
    const asked = bed.server.gets.length;
    const error = await errorOf(bed.broker.source('payments').get({ signal: AbortSignal.abort(new Error('gone')) }));
    expect(error).toMatchObject({ message: 'gone' });
    expect(bed.server.gets).toHaveLength(asked);
  });

  it('gives a caller its whole time even when it joined a fetch that had less left', async () => {
    // Nothing that is asked within the first one's time is answered.
    const startedAtMs = clock.elapsedMs();
    bed.server.tamper = (reply) => (clock.elapsedMs() - startedAtMs < 14_500 ? undefined : reply);
    const handle = bed.broker.source('payments');
    const first = codeOf(handle.get());
    await clock.advance(14_000);
    const second = handle.get();
    await clock.advance(1_100);
    expect(await first).toBe('DEADLINE');
    expect((await bed.during(second)).tokenType).toBe('Bearer');
  });

  it('gives a caller that joined a fetch no more than its own time, when it goes on by itself', async () => {
    bed.server.tamper = () => undefined;
    const handle = bed.broker.source('payments');
    const first = codeOf(handle.get());
    await clock.advance(5_000);
    const second = codeOf(handle.get());
    await clock.advance(10_100);
    expect(await first).toBe('DEADLINE');
    const timers = clock.elapsedMs();
    expect(await bed.during(second, 5_000)).toBe('DEADLINE');
    expect(clock.elapsedMs() - timers).toBe(5_000);
  });

  it("passes on the broker's error, and asks again for the next caller", async () => {
    bed.server.failure = { code: 'QUOTA_EXHAUSTED', message: 'the quota is used up', retryAfterMs: 3_000 };
    const handle = bed.broker.source('payments');
    expect(await bed.during(errorOf(handle.get()))).toMatchObject({
      code: 'QUOTA_EXHAUSTED',
      retryable: true,
      retryAfterMs: 3_000,
    });
    bed.server.failure = undefined;
    expect((await bed.during(handle.get())).verified).toBe(true);
  });

  it('asks again at once where a broker says that it cannot, and another may: eight times, in a second or so', async () => {
    bed.server.failure = { code: 'BROKER_UNAVAILABLE', message: 'shutting down', retryAfterMs: 0 };
    const handle = bed.broker.source('payments');
    expect(await bed.during(codeOf(handle.get()), 2_000)).toBe('BROKER_UNAVAILABLE');
    expect(bed.server.gets).toHaveLength(8);
    const token = handle.get();
    await clock.advance(2);
    bed.server.failure = undefined;
    expect((await bed.during(token, 100)).verified).toBe(true);
    expect(bed.server.gets).toHaveLength(10);
  });

  it('does not ask again before the time that a broker names', async () => {
    bed.server.failure = { code: 'BROKER_UNAVAILABLE', message: 'too many requests', retryAfterMs: 100 };
    expect(await bed.during(codeOf(bed.broker.source('payments').get()), 2)).toBe('BROKER_UNAVAILABLE');
    expect(bed.server.gets).toHaveLength(1);
  });

  it('says BROKER_UNAVAILABLE at once when there is no broker', async () => {
    bed.server.stop();
    expect(await bed.during(codeOf(bed.broker.source('payments').get()), 5)).toBe('BROKER_UNAVAILABLE');
  });

  it('says BROKER_UNAVAILABLE when the connection was closed under it, and can still be closed', async () => {
    bed.connection.closed = true;
    expect(await bed.during(codeOf(bed.broker.source('payments').get()))).toBe('BROKER_UNAVAILABLE');
    await bed.during(bed.broker.close());
  });

  it('is ready when a broker has answered, and says so when none has', async () => {
    await bed.during(bed.broker.ready());
    const alone = createTokenBroker({ connection: (bed.connection.cut(), bed.connection), caller: 'orders', clock });
    expect(await bed.during(codeOf(alone.ready({ timeoutMs: 500 })), 500)).toBe('BROKER_UNAVAILABLE');
    await bed.during(alone.close());
  });
});

describe('an answer of a broker without Redis', () => {
  it('is used for the callers who wait, and not kept', async () => {
    bed.server.tamper = (reply) => ({ ...reply, verified: false });
    const handle = bed.broker.source('payments');
    const [one, two] = await bed.during(Promise.all([handle.get(), handle.get()]));
    expect(one).toBe(two);
    expect(one.verified).toBe(false);
    expect(handle.current).toBeUndefined();
    await bed.during(handle.get());
    expect(bed.server.gets).toHaveLength(2);
  });

  it('is the last of what came before it: no caller is given the older token that was held meanwhile (G3)', async () => {
    bed.server.lifeMs = 100_000;
    const handle = bed.broker.source('payments');
    const held = await bed.during(handle.get());
    await clock.advance(60_000);
    // The event is lost, and the successor comes from a broker that cannot see Redis any more.
    const { generation } = bed.server.issue('payments', bed.slot);
    bed.server.tamper = (reply) => ({ ...reply, verified: false });
    expect(handle.current).toBe(held);
    const unverified = await bed.during(handle.get({ minTtlMs: 50_000 }));
    expect([unverified.verified, unverified.generation]).toEqual([false, generation]);
    expect(handle.current).toBeUndefined();
    expect((await bed.during(handle.get())).generation).toBe(generation);
    // Nor what comes late: it is asked again for one that is as new.
    bed.server.tamper = (reply, request) => {
      return request?.minGeneration === generation ? reply : { ...reply, generation: held.generation };
    };
    expect((await bed.during(handle.get(), 1_000)).generation).toBe(generation);
    expect(handle.current?.generation).toBe(generation);
  });

  it('is followed by no older one after its slot was pushed out while it was on its way either', async () => {
    await bed.close();
    bed = createBed(clock, new SeededRandom(8), { maxEntries: 1 });
    bed.server.lifeMs = 100_000;
    const handle = bed.broker.source('payments');
    const held = await bed.during(handle.get());
    await clock.advance(60_000);
    const { generation } = bed.server.issue('payments', bed.slot);
    bed.server.tamper = (reply) => ({ ...reply, verified: false });
    const waiting = handle.get({ minTtlMs: 50_000 });
    bed.broker.source('other');
    const unverified = await bed.during(waiting);
    expect([unverified.verified, unverified.generation]).toEqual([false, generation]);
    bed.server.tamper = (reply, request) => {
      return request?.minGeneration === generation ? reply : { ...reply, generation: held.generation };
    };
    expect((await bed.during(handle.get(), 1_000)).generation).toBe(generation);
  });

  it('is not taken for a renewal: the token that is held is served on while nobody was given another', async () => {
    bed.server.lifeMs = 100_000;
    const handle = bed.broker.source('payments');
    const held = await bed.during(handle.get());
    await clock.advance(93_000);
    bed.server.issue('payments', bed.slot);
    bed.server.tamper = (reply) => ({ ...reply, verified: false });
    const gets = bed.server.gets.length;
    expect(handle.current).toBe(held);
    await clock.advance(100);
    expect(bed.server.gets).toHaveLength(gets + 1);
    expect(handle.current).toBe(held);
  });
});

describe('the bounds', () => {
  it('push out the least recently used slot, and its subscription', async () => {
    await bed.close();
    bed = createBed(clock, new SeededRandom(8), { maxEntries: 2 });
    const handles = ['a', 'b', 'c'].map((name) => bed.broker.source(name));
    for (const handle of handles) await bed.during(handle.get());
    expect(handles.map(({ current }) => current !== undefined)).toEqual([false, true, true]);
    const events = bed.connection.subscribed.filter((subject) => subject.includes('.event.'));
    expect(events).toHaveLength(2);
    const [first] = handles;
    expect(first === undefined ? undefined : (await bed.during(first.get())).verified).toBe(true);
    expect(first?.current).toBeDefined();
    expect(bed.broker.stats().entries).toBe(2);
  });

  it('hold for bytes too', async () => {
    await bed.close();
    bed = createBed(clock, new SeededRandom(8), { maxBytes: 10_000 });
    for (let index = 0; index < 20; index++) await bed.during(bed.broker.source(`s${String(index)}`).get());
    expect(bed.broker.stats().bytes).toBeLessThanOrEqual(10_000);
    expect(bed.broker.stats().entries).toBeGreaterThan(1);
  });

  it('forget a slot that nobody has used for a quarter of an hour, and its handle begins anew', async () => {
    const handle = bed.broker.source('payments');
    await bed.during(handle.get());
    await clock.advance(1_000_000);
    expect(bed.broker.stats().entries).toBe(0);
    expect(bed.connection.subscribed.some((subject) => subject.includes('.event.'))).toBe(false);
    await bed.during(handle.get());
    expect(handle.current).toBeDefined();
  });
});

describe('closing', () => {
  it('ends all background work, rejects what waits, and leaves the connection open', async () => {
    bed.server.heldMs = 1_000;
    const handle = bed.broker.source('payments');
    const waiting = codeOf(handle.get());
    await clock.advance(10);
    bed.server.stop();
    await bed.during(bed.broker.close());
    expect(await waiting).toBe('CLOSED');
    expect(handle.current).toBeUndefined();
    expect(await codeOf(handle.get())).toBe('CLOSED');
    expect(bed.connection.closed).toBe(false);
    expect(bed.connection.subscribed).toEqual([]);
    await clock.advance(2_000);
    expect(clock.pendingTimers).toBe(0);
  });

  it('says farewell, under the name it had', async () => {
    await bed.during(bed.broker.close());
    expect(isIdentifier(bed.broker.instance)).toBe(true);
    expect(bed.server.syncs.at(-1)).toEqual({ v: 1, instance: bed.broker.instance, leaving: true });
  });

  it('may be done twice', async () => {
    await bed.during(Promise.all([bed.broker.close(), bed.broker.close()]));
    expect(bed.server.syncs.filter(({ leaving }) => leaving === true)).toHaveLength(1);
  });
});

describe('demand', () => {
  it('is reported every half minute for the slots in use', async () => {
    const used = bed.broker.source('payments');
    const token = await bed.during(used.get());
    await bed.during(bed.broker.source('idle').get());
    await clock.advance(40_000);
    expect(used.current).toBeDefined();
    const before = bed.server.syncs.length;
    await clock.advance(36_000);
    const reports = bed.server.syncs.slice(before).filter(({ holds }) => holds !== undefined);
    expect(reports[0]?.holds).toEqual([{ source: 'payments', slots: [[slotOf('payments'), token.generation]] }]);
    expect(reports[0]?.verify).toBeUndefined();
  });
});
