import { partitionOf, slotOf } from '@token-broker/protocol';
import { beforeEach, describe, expect, it } from 'vitest';
import type { ScannedSlot, SlotAddress, Store } from '../../app/ports/store.js';
import { createStore, onBothStores } from './fakes/store-beds.js';

const PARTITIONS = 2;

function addressOf(audience: string, source = 'payments-api'): SlotAddress {
  const slot = slotOf(source, { audience });
  return { slot, partition: partitionOf(slot, PARTITIONS), source, provider: 'oauth2', recipe: `recipe of ${source}` };
}

let store: Store;

async function reserve(address: SlotAddress, attempt: string, wantGreaterThan = 0) {
  const request = { address, wantGreaterThan, floor: 0, attempt, callMs: 5_000, policy: 0 };
  const first = await store.reserve(request);
  const reply = first.kind === 'relock' ? await store.reserve({ ...request, floor: first.floor }) : first;
  if (reply.kind !== 'go') throw new Error(`expected a reservation, got ${reply.kind}`);
  return reply;
}

/** Fetches a token; resolves to its generation. */
async function fetch(address: SlotAddress, attempt = address.slot, above = 0): Promise<number> {
  const { generation, asOf } = await reserve(address, attempt, above);
  const committed = await store.commit({
    ...{ address, attempt, epoch: asOf.epoch, generation, policy: 0, tokenHash: attempt, sealedBy: 'k1' },
    expiresAtMs: asOf.redisMs + 60_000,
    usableUntilMs: asOf.redisMs + 55_000,
    sealed: Buffer.from(`sealed ${attempt}`),
    channelCandidate: Buffer.from(`channel ${attempt}`),
  });
  if (committed.kind !== 'ok') throw new Error(`expected a commit, got ${committed.kind}`);
  return generation;
}

async function scanAll(onPage: () => Promise<unknown> = () => Promise.resolve()): Promise<Map<string, ScannedSlot>> {
  const found = new Map<string, ScannedSlot>();
  for (let partition = 0; partition < PARTITIONS; partition++) {
    let cursor: string | undefined;
    do {
      const page = await store.scan(partition, cursor, true);
      for (const scanned of page.slots) found.set(scanned.slot, scanned);
      cursor = page.next;
      await onPage();
    } while (cursor !== undefined);
  }
  return found;
}

onBothStores(() => {
  beforeEach(() => {
    store = createStore();
  });

  it('finds every token and every fetch in the air, whatever comes and goes meanwhile', async () => {
    const stay = Array.from({ length: 600 }, (_, i) => addressOf(`stays ${String(i)}`));
    const leave = Array.from({ length: 200 }, (_, i) => addressOf(`leaves ${String(i)}`));
    await Promise.all([...stay, ...leave].map((address) => fetch(address)));
    const flying = addressOf('flies', 'orders-api');
    const { generation } = await reserve(flying, 'in the air');
    let pages = 0;
    const found = await scanAll(async () => {
      const gone = leave.slice(40 * pages, 40 * ++pages);
      await Promise.all(gone.map(({ slot, partition }) => store.revoke({ kind: 'slot', slot }, partition, slot)));
      await Promise.all(gone.map((_, i) => fetch(addressOf(`comes ${String(pages)} ${String(i)}`))));
    });
    for (const { slot } of stay) expect(found.get(slot)?.record).toMatchObject({ source: 'payments-api' });
    expect(found.get(flying.slot)).toEqual({ slot: flying.slot, flight: { source: 'orders-api', generation } });
  });

  it('shows what a record is made of, and without its token where that is not asked for', async () => {
    const address = addressOf('a');
    const generation = await fetch(address, 'one');
    const { slots } = await store.scan(address.partition, undefined, true);
    expect(slots).toMatchObject([
      {
        slot: address.slot,
        record: { source: 'payments-api', provider: 'oauth2', recipe: address.recipe, generation },
      },
    ]);
    expect(Buffer.from(slots[0]?.record?.sealed ?? []).toString()).toBe('sealed one');
    const [bare] = (await store.scan(address.partition, undefined, false)).slots;
    expect(bare?.record?.sealed).toHaveLength(0);
  });

  it('finds a renewal in the air, also where a resource server has refused the token that it renews', async () => {
    const address = addressOf('a');
    const generation = await fetch(address, 'one');
    const flight = await reserve(address, 'two', generation);
    expect([...(await scanAll()).values()]).toMatchObject([
      { record: { generation }, flight: { generation: flight.generation } },
    ]);
    await store.reject(address, flight.asOf.epoch, generation, 1_000);
    expect([...(await scanAll()).values()]).toEqual([
      { slot: address.slot, flight: { source: 'payments-api', generation: flight.generation } },
    ]);
    await store.abandon(address, 'two');
    expect(await scanAll()).toEqual(new Map());
  });

  it('finds nothing that is dead: revoked, cut off, failed', async () => {
    const [one, two, three] = [addressOf('1'), addressOf('2', 'orders-api'), addressOf('3', 'billing-api')];
    await fetch(one);
    await fetch(two);
    await reserve(three, 'three');
    await store.revoke({ kind: 'slot', slot: one.slot }, one.partition, 'r1');
    await store.revoke({ kind: 'source', source: 'orders-api' }, two.partition, 'r2');
    await store.fail({
      ...{ address: three, attempt: 'three', code: 'IDP_DENIED', message: 'no', uniform: 0 },
      ...{ retryAfterMs: 5_000, backoffFirstMs: 500, backoffMaxMs: 500 },
    });
    expect(await scanAll()).toEqual(new Map());
  });

  describe('revoking up to a generation', () => {
    it('ends the token of then, and leaves its successor alone', async () => {
      const address = addressOf('a');
      const target = { kind: 'slot', slot: address.slot } as const;
      const old = await fetch(address, 'one');
      const young = await fetch(address, 'two', old);
      const { floor, vseq, asOf } = await store.revoke(target, address.partition, 'r1', undefined, old);
      expect(floor).toBe(old);
      expect(vseq).toBe(1);
      expect(await store.read(address, 0)).toMatchObject({ kind: 'hit', record: { generation: young }, floor: old });
      expect(await store.confirm(target, address.partition, asOf.epoch, floor)).toBe(true);
      // The channel was made for the token of before.
      expect(await store.read(address, 0)).not.toHaveProperty('channel');
    });

    it('ends the token of then where it has no successor, and leaves the fetch of one alone', async () => {
      const address = addressOf('a');
      const old = await fetch(address, 'one');
      const flight = await reserve(address, 'two', old);
      await store.revoke({ kind: 'slot', slot: address.slot }, address.partition, 'r1', undefined, old);
      expect(await store.read(address, 0)).toMatchObject({ kind: 'miss', floor: old });
      expect([...(await scanAll()).values()]).toEqual([
        { slot: address.slot, flight: { source: 'payments-api', generation: flight.generation } },
      ]);
    });

    it('never lowers a floor, and never forbids what is claimed later', async () => {
      const address = addressOf('a');
      const target = { kind: 'slot', slot: address.slot } as const;
      const old = await fetch(address, 'one');
      const { floor } = await store.revoke(target, address.partition, 'r1');
      expect(await store.revoke(target, address.partition, 'r2', undefined, old)).toMatchObject({ floor });
      const far = await store.revoke({ kind: 'all' }, address.partition, 'r3', undefined, floor + 3_600_000_000);
      expect(far.floor).toBe(floor);
      const young = await fetch(address, 'two');
      expect(await store.read(address, 0)).toMatchObject({ kind: 'hit', record: { generation: young } });
    });

    it('cuts off a source up to then', async () => {
      const before = addressOf('a');
      const after = [1, 2, 3, 4, 5, 6, 7]
        .map((i) => addressOf(String(i)))
        .find(({ partition }) => partition === before.partition);
      if (after === undefined) throw new Error('no slot beside it');
      const old = await fetch(before, 'one');
      await fetch(after, 'two');
      await store.revoke({ kind: 'source', source: 'payments-api' }, before.partition, 'r1', undefined, old);
      expect((await store.read(before, 0)).kind).toBe('miss');
      expect((await store.read(after, 0)).kind).toBe('hit');
    });
  });

  it('claims nothing for a source that is paused, in any partition, and tells who reads along', async () => {
    const [a, b] = [addressOf('a'), addressOf('b', 'payments')];
    const old = await fetch(a, 'one');
    const { changed, sinceMs } = await store.pause('payments-api', true);
    expect(changed).toBe(true);
    const request = { wantGreaterThan: 0, floor: 0, callMs: 5_000, policy: 0, attempt: 'x' };
    expect(await store.reserve({ ...request, address: a, wantGreaterThan: old })).toMatchObject({ kind: 'paused' });
    // What counts is an answer; and a source whose name is a part of it is another one.
    expect(await store.reserve({ ...request, address: a })).toMatchObject({ kind: 'hit' });
    expect(await store.reserve({ ...request, address: b })).toMatchObject({ kind: 'go' });
    // Each partition has noted it at its own moment; it holds in all of them from the last one on.
    const partitions = Array.from({ length: PARTITIONS }, (_, partition) => ({ partition, epoch: 0, applied: 0 }));
    const leases = await store.lease(partitions, 1_000);
    expect(leases.map(({ paused }) => [...paused.keys()])).toEqual(partitions.map(() => ['payments-api']));
    expect(leases.map(({ paused }) => paused.get('payments-api'))).toContain(sinceMs);
    expect(await store.pause('payments', true)).toMatchObject({ changed: true });
    expect(await store.pause('payments-api', false)).toEqual({ changed: true, sinceMs: undefined });
    expect(await store.reserve({ ...request, address: a, wantGreaterThan: old })).toMatchObject({ kind: 'go' });
    const [lease] = await store.lease([{ partition: 0, epoch: 0, applied: 0 }], 1_000);
    expect([...(lease?.paused.keys() ?? [])]).toEqual(['payments']);
  });
}, PARTITIONS);
