import { describe, expect, it } from 'vitest';
import type { CommitRequest, ReserveReply, Store } from '../../app/ports/store.js';
import { bedOfTest, createStore, onBothStores } from './fakes/store-beds.js';
import { address, commitOf, go, reserve } from './fakes/store-commands.js';

onBothStores(() => {
  describe('revoking', () => {
    it('kills the record and the flight in the air, and confirms while it stands', async () => {
      const store = createStore();
      const reserved = await go(store, 'a1');
      await store.commit(commitOf(reserved, 'a1'));
      const flying = await go(store, 'a2', { want: reserved.generation });
      const revoked = await store.revoke({ kind: 'slot', slot: address.slot }, address.partition, 'r1');
      expect(revoked.floor).toBeGreaterThan(flying.generation);
      expect(await store.read(address, 0)).toMatchObject({ kind: 'miss', floor: revoked.floor });
      expect((await store.commit(commitOf(flying, 'a2'))).kind).toBe('dead');
      expect(
        await store.confirm({ kind: 'slot', slot: address.slot }, address.partition, revoked.asOf.epoch, revoked.floor),
      ).toBe(true);
    });

    it('is one revocation when it is sent twice', async () => {
      const store = createStore();
      const target = { kind: 'slot', slot: address.slot } as const;
      const first = await store.revoke(target, address.partition, 'r1');
      await store.revoke({ kind: 'all' }, address.partition, 'r2');
      const second = await store.revoke(target, address.partition, 'r1');
      expect([second.floor, second.vseq]).toEqual([first.floor, first.vseq]);
    });

    it('sends callers with an older floor back to the lock of the new one', async () => {
      const store = createStore();
      const { floor } = await store.revoke({ kind: 'slot', slot: address.slot }, address.partition, 'r1');
      expect(await reserve(store, 'a1', { floor: 0 })).toMatchObject({ kind: 'relock', floor });
      expect((await reserve(store, 'a1', { floor })).kind).toBe('go');
    });

    it.each([
      { kind: 'source', source: 'payments-api' },
      { kind: 'provider', provider: 'oauth2' },
      { kind: 'all' },
    ] as const)('cuts off by $kind: what was is dead, what comes is not', async (target) => {
      const store = createStore();
      const reserved = await go(store, 'a1');
      await store.commit(commitOf(reserved, 'a1'));
      const { floor } = await store.revoke(target, address.partition, 'r1');
      expect((await store.read(address, 0)).kind).toBe('miss');
      const next = await go(store, 'a2', { floor });
      expect((await store.commit(commitOf(next, 'a2'))).kind).toBe('ok');
      expect((await store.read(address, 0)).kind).toBe('hit');
    });

    it.each([
      { kind: 'slot', slot: address.slot },
      { kind: 'source', source: 'payments-api' },
    ] as const)(
      'refuses the very token that was revoked by $kind, when the provider hands it out again',
      async (target) => {
        const store = createStore();
        const reserved = await go(store, 'a1');
        await store.commit(commitOf(reserved, 'a1', { tokenHash: 'same' }));
        const { floor } = await store.revoke(target, address.partition, 'r1');
        const next = await go(store, 'a2', { floor });
        expect((await store.commit(commitOf(next, 'a2', { tokenHash: 'same' }))).kind).toBe('replayed');
      },
    );

    describe('a token that was revoked, and outlives what takes its place,', () => {
      const shortLived = (
        { asOf: { redisMs } }: Extract<ReserveReply, { kind: 'go' }>,
        lifeMs: number,
      ): Partial<CommitRequest> => ({
        ...{ expiresAtMs: redisMs + lifeMs, usableUntilMs: redisMs + lifeMs },
      });

      it('is not taken again after a token that was on its way, and is over by now', async () => {
        const store = createStore();
        const late = await go(store, 'late', { callMs: 1 });
        await bedOfTest().pass(1);
        await store.commit(commitOf(await go(store, 'a1'), 'a1', { tokenHash: 'same' }));
        const { floor } = await store.revoke({ kind: 'slot', slot: address.slot }, address.partition, 'r1');
        const over = commitOf(late, 'late', { ...shortLived(late, 0), tokenHash: 'over' });
        // Sent twice, since the first reply was lost.
        expect([(await store.commit(over)).kind, (await store.commit(over)).kind]).toEqual(['dead', 'dead']);
        const next = await go(store, 'a2', { floor });
        expect((await store.commit(commitOf(next, 'a2', { tokenHash: 'same' }))).kind).toBe('replayed');
      });

      it('is not taken again after a shorter token has come and gone', async () => {
        const store = createStore();
        await store.commit(commitOf(await go(store, 'a1'), 'a1', { tokenHash: 'same' }));
        const { floor } = await store.revoke({ kind: 'slot', slot: address.slot }, address.partition, 'r1');
        const short = await go(store, 'a2', { floor });
        expect((await store.commit(commitOf(short, 'a2', shortLived(short, 200)))).kind).toBe('ok');
        await bedOfTest().pass(200);
        expect((await store.read(address, 0)).kind).toBe('miss');
        expect(await store.list({}, 10)).toMatchObject({ slots: [] });
        const next = await go(store, 'a3', { floor });
        expect((await store.commit(commitOf(next, 'a3', { tokenHash: 'same' }))).kind).toBe('replayed');
      });
    });

    describe.each([
      { kind: 'slot', slot: address.slot },
      { kind: 'source', source: 'payments-api' },
    ] as const)('a token that was on its way when $kind was revoked, from a provider that caches', (target) => {
      const begun = async (): Promise<{ store: Store; late: Awaited<ReturnType<typeof go>>; floor: number }> => {
        const store = createStore();
        const late = await go(store, 'a1');
        const { floor } = await store.revoke(target, address.partition, 'r1');
        return { store, late, floor };
      };

      it('is not taken by a later claim either', async () => {
        const { store, late, floor } = await begun();
        expect((await store.commit(commitOf(late, 'a1', { tokenHash: 'same' }))).kind).toBe('dead');
        const next = await go(store, 'a2', { floor });
        expect((await store.commit(commitOf(next, 'a2', { tokenHash: 'same' }))).kind).toBe('replayed');
      });

      it('is not taken by a renewal of the next token', async () => {
        const { store, late, floor } = await begun();
        expect((await store.commit(commitOf(late, 'a1', { tokenHash: 'same' }))).kind).toBe('dead');
        const next = await go(store, 'a2', { floor });
        expect((await store.commit(commitOf(next, 'a2', { tokenHash: 'other' }))).kind).toBe('ok');
        const renewal = await go(store, 'a3', { floor, want: next.generation });
        expect((await store.commit(commitOf(renewal, 'a3', { tokenHash: 'same' }))).kind).toBe('replayed');
      });

      it('is not taken by a later claim either, where another token counts already', async () => {
        const { store, late, floor } = await begun();
        const next = await go(store, 'a2', { floor });
        await store.commit(commitOf(next, 'a2', { tokenHash: 'other' }));
        expect((await store.commit(commitOf(late, 'a1', { tokenHash: 'same' }))).kind).toBe('dead');
        const renewal = await go(store, 'a3', { floor, want: next.generation });
        expect((await store.commit(commitOf(renewal, 'a3', { tokenHash: 'same' }))).kind).toBe('replayed');
      });

      it('is the token of a later claim that was given it: nobody may take it back', async () => {
        const { store, late, floor } = await begun();
        const next = await go(store, 'a2', { floor });
        await store.commit(commitOf(next, 'a2', { tokenHash: 'same' }));
        expect((await store.commit(commitOf(late, 'a1', { tokenHash: 'same' }))).kind).toBe('lost');
        expect(await store.read(address, 0)).toMatchObject({ kind: 'hit', record: { generation: next.generation } });
      });
    });

    it('lets a token that a resource server refused be fetched again, until it is revoked', async () => {
      const store = createStore();
      const first = await go(store, 'a1');
      await store.commit(commitOf(first, 'a1', { tokenHash: 'same' }));
      await store.reject(address, first.asOf.epoch, first.generation, 1_000);
      const second = await go(store, 'a2', { floor: first.generation });
      expect((await store.commit(commitOf(second, 'a2', { tokenHash: 'same' }))).kind).toBe('ok');
      const revoked = await store.revoke({ kind: 'slot', slot: address.slot }, address.partition, 'r1');
      const third = await go(store, 'a3', { floor: revoked.floor });
      expect((await store.commit(commitOf(third, 'a3', { tokenHash: 'same' }))).kind).toBe('replayed');
    });

    it.each([
      { kind: 'slot', slot: address.slot },
      { kind: 'source', source: 'payments-api' },
    ] as const)('refuses a token that was refused by a resource server before $kind was revoked', async (target) => {
      const store = createStore();
      const first = await go(store, 'a1');
      await store.commit(commitOf(first, 'a1', { tokenHash: 'same' }));
      await store.reject(address, first.asOf.epoch, first.generation, 1_000);
      const { floor } = await store.revoke(target, address.partition, 'r1');
      const second = await go(store, 'a2', { floor });
      expect((await store.commit(commitOf(second, 'a2', { tokenHash: 'same' }))).kind).toBe('replayed');
    });

    it('makes another channel when the key that seals is another', async () => {
      const store = createStore();
      const first = await go(store, 'a1');
      await store.commit(commitOf(first, 'a1'));
      const second = await go(store, 'a2', { want: first.generation });
      const committed = await store.commit(commitOf(second, 'a2', { sealedBy: 'k2' }));
      expect(committed).toMatchObject({ kind: 'ok', channel: { version: second.generation } });
    });

    it('ends the channel, and the next commit makes another', async () => {
      const store = createStore();
      await store.commit(commitOf(await go(store, 'a1'), 'a1'));
      const { floor } = await store.revoke({ kind: 'all' }, address.partition, 'r1');
      const next = await go(store, 'a2', { floor });
      const committed = await store.commit(commitOf(next, 'a2'));
      expect(committed).toMatchObject({ kind: 'ok', channel: { version: next.generation } });
    });

    it('keeps a channel across a refresh', async () => {
      const store = createStore();
      const first = await go(store, 'a1');
      await store.commit(commitOf(first, 'a1'));
      const second = await go(store, 'a2', { want: first.generation });
      expect(await store.commit(commitOf(second, 'a2'))).toMatchObject({
        kind: 'ok',
        channel: { version: first.generation },
      });
    });
  });

  it('drops a rejected generation once, and neither an old one nor too often', async () => {
    const store = createStore();
    const first = await go(store, 'a1');
    await store.commit(commitOf(first, 'a1'));
    const { epoch } = first.asOf;
    expect((await store.reject(address, epoch, first.generation - 1, 5_000)).kind).toBe('stale');
    const dropped = await store.reject(address, epoch, first.generation, 5_000);
    expect(dropped).toMatchObject({ kind: 'dropped', floor: first.generation });
    expect((await store.reject(address, epoch, first.generation, 5_000)).kind).toBe('stale');
    const second = await go(store, 'a2', { floor: dropped.floor });
    await store.commit(commitOf(second, 'a2'));
    expect((await store.reject(address, epoch, second.generation, 5_000)).kind).toBe('limited');
  });
});
