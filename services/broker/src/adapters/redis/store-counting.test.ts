import { describe, expect, it } from 'vitest';
import type { CountRequest, SlotAddress, Store, WholeTarget } from '../../app/ports/store.js';
import { bedOfTest, createStore, onBothStores } from './fakes/store-beds.js';
import { address, commitOf, go } from './fakes/store-commands.js';

const { partition } = address;
const SOURCE = { kind: 'source', source: 'payments-api' } as const;
/** More than two pages, and no whole number of them. */
const MANY = 1_207;

const slotAt = (index: number, source = 'payments-api'): SlotAddress => ({
  ...address,
  source,
  slot: String(index).padStart(22, 'A'),
});

async function fetched(store: Store, of: SlotAddress, lifeMs = 60_000, floor = 0): Promise<number> {
  const attempt = `of ${of.slot} above ${String(floor)}`;
  const reserved = await go(store, attempt, { of, floor });
  const { redisMs } = reserved.asOf;
  const until = { expiresAtMs: redisMs + lifeMs, usableUntilMs: redisMs + lifeMs };
  const { kind } = await store.commit(commitOf(reserved, attempt, { address: of, ...until }));
  expect(kind).toBe('ok');
  return reserved.generation;
}

/** Page by page. */
async function counted(store: Store, request: CountRequest): Promise<Record<string, number>> {
  const sums: Record<string, number> = {};
  let cursor: string | undefined;
  do {
    const page = await store.count(request, cursor);
    for (const [source, many] of page.bySource) sums[source] = (sums[source] ?? 0) + many;
    cursor = page.next;
  } while (cursor !== undefined);
  return sums;
}

onBothStores(() => {
  describe('counting', () => {
    it.each([
      [SOURCE, { 'payments-api': 2 }],
      [{ kind: 'source', source: 'unknown' }, {}],
      [
        { kind: 'provider', provider: 'oauth2' },
        { 'payments-api': 2, ledger: 1 },
      ],
      [{ kind: 'provider', provider: 'vault' }, {}],
      [{ kind: 'all' }, { 'payments-api': 2, ledger: 1 }],
    ] as const)('%o', async (target: WholeTarget, expected: Record<string, number>) => {
      const store = createStore();
      for (const of of [slotAt(1), slotAt(2), slotAt(3, 'ledger')]) await fetched(store, of);
      expect(await counted(store, { target, partition })).toEqual(expected);
      const { replaced, floor } = await store.revoke(target, partition, 'r1');
      expect(await counted(store, { target, partition })).toEqual({});
      expect(await counted(store, { target, partition, above: replaced, upTo: floor })).toEqual(expected);
    });

    it('leaves out what is revoked by itself, has expired, or came later, but not what had to make room for that', async () => {
      const store = createStore();
      const [revoked, brief] = [slotAt(1), slotAt(2)];
      for (const of of [revoked, slotAt(3), slotAt(4)]) await fetched(store, of);
      await fetched(store, brief, 100);
      await store.revoke({ kind: 'slot', slot: revoked.slot }, partition, 'r1');
      await bedOfTest().pass(150);
      const { replaced, floor } = await store.revoke(SOURCE, partition, 'r2');
      await fetched(store, slotAt(4), 60_000, floor);
      await fetched(store, slotAt(5), 60_000, floor);
      const ended = { target: SOURCE, partition, above: replaced, upTo: floor };
      expect(await counted(store, ended)).toEqual({ 'payments-api': 2 });
      expect(await counted(store, { target: SOURCE, partition })).toEqual({ 'payments-api': 2 });
      await fetched(store, revoked, 60_000, floor);
      expect(await counted(store, ended)).toEqual({ 'payments-api': 2 });
    });

    it('says of a revocation that was made again what the first one has ended, and of a second one what it has', async () => {
      const store = createStore();
      await fetched(store, slotAt(1));
      const first = await store.revoke(SOURCE, partition, 'r1');
      const again = await store.revoke(SOURCE, partition, 'r1');
      expect([again.replaced, again.floor]).toEqual([first.replaced, first.floor]);
      const second = await store.revoke(SOURCE, partition, 'r2');
      expect(second.replaced).toBe(first.floor);
      const ended = { target: SOURCE, partition, above: second.replaced, upTo: second.floor };
      expect(await counted(store, ended)).toEqual({});
    });

    it('ends at a generation', async () => {
      const store = createStore();
      const generations: number[] = [];
      for (const index of [1, 2, 3]) generations.push(await fetched(store, slotAt(index)));
      const upTo = generations[1] ?? 0;
      expect(await counted(store, { target: SOURCE, partition, upTo })).toEqual({ 'payments-api': 2 });
      const { replaced, floor } = await store.revoke(SOURCE, partition, 'r1', undefined, upTo);
      const ended = { target: SOURCE, partition, above: replaced, upTo: floor };
      expect(await counted(store, ended)).toEqual({ 'payments-api': 2 });
      expect(await counted(store, { target: SOURCE, partition })).toEqual({ 'payments-api': 1 });
    });

    it.each([
      ['at one moment', () => 0],
      ['at moments of their own', (index: number) => index],
      ['at moments that a page and a half share', (index: number) => Math.floor(index / 750)],
    ])('counts each of many once that expire %s', async (_, laterMs) => {
      const store = createStore();
      const { asOf } = await go(store, 'first');
      const expiring = async (index: number): Promise<void> => {
        const of = slotAt(index);
        const reserved = await go(store, of.slot, { of });
        const expiresAtMs = asOf.redisMs + 60_000 + laterMs(index);
        await store.commit(commitOf(reserved, of.slot, { address: of, expiresAtMs, usableUntilMs: expiresAtMs }));
      };
      await Promise.all(Array.from({ length: MANY }, (_unused, index) => expiring(index)));
      expect(await counted(store, { target: SOURCE, partition })).toEqual({ 'payments-api': MANY });
    });
  });
});
