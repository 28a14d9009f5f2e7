import { describe, expect, it } from 'vitest';
import { bedOfTest, createStore, onBothStores } from './fakes/store-beds.js';
import { address, addressOf, commitOf, go, reserve } from './fakes/store-commands.js';

onBothStores(() => {
  describe('fetching', () => {
    it('reserves, commits and reads back what was committed, with its channel', async () => {
      const store = createStore();
      expect((await store.read(address, 0)).kind).toBe('miss');
      const reserved = await go(store, 'a1');
      expect((await store.commit(commitOf(reserved, 'a1'))).kind).toBe('ok');
      const read = await store.read(address, 0);
      expect(read).toMatchObject({
        kind: 'hit',
        record: { generation: reserved.generation },
        channel: { version: reserved.generation },
      });
      expect(read.kind === 'hit' && Buffer.from(read.record.sealed).equals(Buffer.from([0, 1, 2, 255]))).toBe(true);
    });

    it('tells a second replica that the slot is busy, and gives the same generation to the same attempt', async () => {
      const [first, second] = [createStore('b1'), createStore('b2')];
      const reserved = await go(first, 'a1');
      expect(await reserve(second, 'a2')).toMatchObject({ kind: 'busy' });
      expect(await go(first, 'a1')).toMatchObject({ generation: reserved.generation });
    });

    it('takes a repeated commit for the same commit', async () => {
      const store = createStore();
      const reserved = await go(store, 'a1');
      const first = await store.commit(commitOf(reserved, 'a1'));
      expect(await store.commit(commitOf(reserved, 'a1'))).toMatchObject({
        kind: 'ok',
        generation: first.kind === 'ok' ? first.generation : -1,
      });
    });

    it('lets a refresh reserve only for more than what is there', async () => {
      const store = createStore();
      const reserved = await go(store, 'a1');
      await store.commit(commitOf(reserved, 'a1'));
      expect((await reserve(store, 'a2')).kind).toBe('hit');
      expect((await reserve(store, 'a2', { want: reserved.generation })).kind).toBe('go');
    });

    it('refuses the commit of a reservation that was overtaken', async () => {
      const store = createStore();
      const slow = await go(store, 'slow', { callMs: 5 });
      await bedOfTest().pass(5);
      const fast = await go(store, 'fast');
      expect((await store.commit(commitOf(fast, 'fast'))).kind).toBe('ok');
      expect((await store.commit(commitOf(slow, 'slow'))).kind).toBe('lost');
    });

    it('is a miss under another recipe, and lets that recipe reserve at once', async () => {
      const store = createStore();
      const reserved = await go(store, 'a1');
      await store.commit(commitOf(reserved, 'a1'));
      const other = addressOf('payments-api', 'recipe-2');
      expect((await store.read(other, 0)).kind).toBe('miss');
      expect((await reserve(store, 'a2', { of: other })).kind).toBe('go');
    });
  });

  describe('a result that is dead when it comes', () => {
    it('leaves the token of another recipe alone', async () => {
      const [old, changed] = [createStore('b1'), createStore('b2')];
      const late = await go(old, 'a1');
      await changed.revoke({ kind: 'source', source: 'payments-api' }, address.partition, 'r1');
      const { floor } = (await changed.read(address, 0)) as { floor: number };
      const of = addressOf('payments-api', 'recipe-2');
      const winner = await go(changed, 'a2', { of, floor });
      await changed.commit(commitOf(winner, 'a2', { address: of }));
      expect((await old.commit(commitOf(late, 'a1'))).kind).toBe('dead');
      expect(await changed.read(of, 0)).toMatchObject({ kind: 'hit', record: { generation: winner.generation } });
      // And what it brought is known as dead all the same.
      const next = await go(changed, 'a3', { of, floor, want: winner.generation });
      expect((await changed.commit(commitOf(next, 'a3', { address: of, tokenHash: 'hash of a1' }))).kind).toBe(
        'replayed',
      );
    });
  });

  describe('failing', () => {
    const failure = {
      code: 'IDP_UNAVAILABLE',
      message: 'it is away',
      retryAfterMs: 0,
      backoffFirstMs: 50,
      backoffMaxMs: 8_000,
      uniform: 1,
    } as const;

    it('shows a failure to every replica until its pause is over, and pauses grow', async () => {
      const [first, second] = [createStore('b1'), createStore('b2')];
      await go(first, 'a1');
      expect(await first.fail({ address, attempt: 'a1', ...failure })).toBe(50);
      expect(await reserve(second, 'a2')).toMatchObject({
        kind: 'failed',
        code: 'IDP_UNAVAILABLE',
        message: 'it is away',
      });
      await bedOfTest().pass(50);
      await go(second, 'a3');
      expect(await second.fail({ address, attempt: 'a3', ...failure })).toBe(100);
    });

    it('is one failure when it is sent again after a lost reply: its pause neither grows nor begins again', async () => {
      const [first, second] = [createStore('b1'), createStore('b2')];
      await go(first, 'a1');
      await first.fail({ address, attempt: 'a1', ...failure });
      expect(await first.fail({ address, attempt: 'a1', ...failure })).toBeLessThanOrEqual(50);
      await bedOfTest().pass(50);
      await go(second, 'a2');
      expect(await second.fail({ address, attempt: 'a2', ...failure })).toBe(100);
    });

    it('honours a longer wish of the provider', async () => {
      const store = createStore();
      await go(store, 'a1');
      expect(await store.fail({ address, attempt: 'a1', ...failure, retryAfterMs: 20_000 })).toBe(20_000);
    });

    it('is not noted, and says so, where another replica has taken over or the slot was revoked', async () => {
      const [first, second] = [createStore('b1'), createStore('b2')];
      await go(first, 'a1', { callMs: 5 });
      await bedOfTest().pass(5);
      await go(second, 'a2');
      expect(await first.fail({ address, attempt: 'a1', ...failure })).toBeUndefined();
      expect((await reserve(first, 'a3')).kind).toBe('busy');
      await second.revoke({ kind: 'slot', slot: address.slot }, address.partition, 'r1');
      expect(await second.fail({ address, attempt: 'a2', ...failure })).toBeUndefined();
    });

    it('ends with another recipe at once: a corrected configuration does not wait', async () => {
      const store = createStore();
      await go(store, 'a1');
      await store.fail({ address, attempt: 'a1', ...failure });
      expect((await reserve(store, 'a2', { of: addressOf('payments-api', 'recipe-2') })).kind).toBe('go');
    });
  });

  describe('abandoning', () => {
    it('frees the slot at once, with a later generation, and notes no failure', async () => {
      const store = createStore();
      const first = await go(store, 'a1');
      await store.abandon(address, 'a1');
      expect((await store.read(address, 0)).kind).toBe('miss');
      expect((await go(store, 'a2')).generation).toBeGreaterThan(first.generation);
    });

    it('leaves the reservation of another alone, and a failure that was noted', async () => {
      const store = createStore();
      await go(store, 'a1');
      await store.abandon(address, 'a2');
      expect((await reserve(store, 'a3')).kind).toBe('busy');
      await store.fail({
        ...{ address, attempt: 'a1', code: 'IDP_DENIED', message: 'no', retryAfterMs: 5_000 },
        ...{ backoffFirstMs: 1, backoffMaxMs: 1, uniform: 0 },
      });
      await store.abandon(address, 'a1');
      expect((await reserve(store, 'a3')).kind).toBe('failed');
    });
  });

  it('says whether a fetch takes the place of a token that died before its time', async () => {
    const store = createStore();
    const first = await go(store, 'a1');
    expect(first.isRefetch).toBe(false);
    await store.commit(commitOf(first, 'a1'));
    const { floor } = await store.revoke({ kind: 'slot', slot: address.slot }, address.partition, 'r1');
    const second = await go(store, 'a2', { floor });
    expect([second.isRefetch, (await go(store, 'a2', { floor })).isRefetch]).toEqual([true, true]);
    await store.commit(commitOf(second, 'a2'));
    expect(await go(store, 'a3', { floor, want: second.generation })).toMatchObject({ isRefetch: false });
  });
});
