import { describe, expect, it } from 'vitest';
import { bedOfTest, createStore, onBothStores } from './fakes/store-beds.js';
import { address, commitOf, go, reserve } from './fakes/store-commands.js';

onBothStores(() => {
  describe('policy', () => {
    it('gives replicas with one configuration one version, and a new one to a new configuration', async () => {
      const [first, second] = [createStore('b1'), createStore('b2')];
      const version = await first.registerPolicy('one');
      expect(await second.registerPolicy('one')).toBe(version);
      expect(await second.registerPolicy('two')).toBeGreaterThan(version);
    });

    it('neither gives a channel to a broker with an older configuration nor lets it make one', async () => {
      const store = createStore();
      const before = await store.registerPolicy('one');
      const reserved = await go(store, 'a1', { policy: before });
      expect(await store.commit(commitOf(reserved, 'a1', { policy: before }))).toMatchObject({
        kind: 'ok',
        channel: { version: reserved.generation },
      });
      const after = await store.registerPolicy('two');
      expect(await store.read(address, before)).not.toHaveProperty('channel');
      expect(await store.read(address, after)).not.toHaveProperty('channel');
      const next = await go(store, 'a2', { want: reserved.generation, policy: before });
      expect(await store.commit(commitOf(next, 'a2', { policy: before }))).not.toHaveProperty('channel');
    });

    it('keeps brokers with an older configuration from writing to a source that has changed', async () => {
      const store = createStore();
      const before = await store.registerPolicy('one');
      const reserved = await go(store, 'a1', { policy: before });
      const after = await store.registerPolicy('two');
      const { floor } = await store.revoke({ kind: 'source', source: 'payments-api' }, address.partition, 'r1', after);
      expect((await store.commit(commitOf(reserved, 'a1', { policy: before }))).kind).toBe('dead');
      expect((await reserve(store, 'a2', { floor, policy: before })).kind).toBe('policy');
      expect((await reserve(store, 'a2', { floor, policy: after })).kind).toBe('go');
    });
  });

  describe('reading along', () => {
    it('leases, names the brokers, and tells what was invalidated since', async () => {
      const [first, second] = [createStore('b1'), createStore('b2')];
      const [begun] = await first.lease([{ partition: address.partition, epoch: 0, applied: 0 }], 3_000);
      expect(begun).toMatchObject({ entries: undefined, brokers: ['b1'] });
      const epoch = begun?.asOf.epoch ?? 0;
      const { floor } = await second.revoke({ kind: 'slot', slot: address.slot }, address.partition, 'r1');
      const [next] = await second.lease([{ partition: address.partition, epoch, applied: 0 }], 3_000);
      expect(next?.entries).toEqual([{ vseq: 1, floor, target: { kind: 'slot', slot: address.slot } }]);
      expect(next?.brokers).toEqual(['b1', 'b2']);
      await first.leave();
      const [last] = await second.lease([{ partition: address.partition, epoch, applied: 1 }], 3_000);
      expect(last).toMatchObject({ entries: [], brokers: ['b2'] });
    });

    it('begins a greater epoch when the data is gone, and generations go on', async () => {
      const store = createStore();
      const reserved = await go(store, 'a1');
      await store.commit(commitOf(reserved, 'a1'));
      await bedOfTest().loseEverything();
      const again = await go(store, 'a2');
      expect(again.asOf.epoch).toBeGreaterThan(reserved.asOf.epoch);
      expect(again.generation).toBeGreaterThan(reserved.generation);
      expect((await store.commit(commitOf(reserved, 'a1'))).kind).toBe('epoch');
    });

    it('lists live records by source, and none that is revoked', async () => {
      const store = createStore();
      await store.commit(commitOf(await go(store, 'a1'), 'a1'));
      expect((await store.list({ source: 'payments-api' }, 10)).slots).toMatchObject([
        { slot: address.slot, source: 'payments-api' },
      ]);
      expect((await store.list({ source: 'other' }, 10)).slots).toEqual([]);
      await store.revoke({ kind: 'all' }, address.partition, 'r1');
      expect((await store.list({}, 10)).slots).toEqual([]);
    });

    it.each([
      { kind: 'source', source: 'payments-api' },
      { kind: 'provider', provider: 'oauth2' },
      { kind: 'all' },
    ] as const)('lists nothing that a cutoff of $kind has killed', async (target) => {
      const store = createStore();
      await store.commit(commitOf(await go(store, 'a1'), 'a1'));
      await store.revoke({ kind: 'provider', provider: 'aws-sts' }, address.partition, 'r1');
      expect((await store.list({}, 10)).slots).toHaveLength(1);
      await store.revoke(target, address.partition, 'r2');
      expect((await store.read(address, 0)).kind).toBe('miss');
      expect((await store.list({}, 10)).slots).toEqual([]);
    });

    it('knows who is present until they leave', async () => {
      const store = createStore();
      await store.present('orders', 'i1', 60_000);
      await store.present('billing', 'i2', 60_000);
      expect((await store.presences()).map(({ caller }) => caller).sort()).toEqual(['billing', 'orders']);
      await store.present('orders', 'i1', 0);
      expect(await store.presences()).toMatchObject([{ caller: 'billing', instance: 'i2' }]);
    });
  });
});
