import { expect, it } from 'vitest';
import { StoreError, type CountRequest, type Store } from '../ports/store.js';
import { countEnded, countFound, countStanding } from './counting.js';

const SOURCE = { kind: 'source', source: 'payments-api' } as const;
const ENDED = [0, 1].map((partition) => ({ target: SOURCE, partition, floor: 9, replaced: 4 }));

/** A store that counts so many in each page, and notes what it is asked for. */
function counting(pages: readonly Readonly<Record<string, number>>[]): {
  store: Store;
  asked: (CountRequest & { readonly cursor: string | undefined })[];
} {
  const asked: (CountRequest & { readonly cursor: string | undefined })[] = [];
  const count: Store['count'] = (request, cursor) => {
    asked.push({ ...request, cursor });
    const page = Number(cursor ?? 0);
    const next = page + 1 < pages.length ? String(page + 1) : undefined;
    return Promise.resolve({ bySource: new Map(Object.entries(pages[page] ?? {})), next });
  };
  return { store: { count } as Partial<Store> as Store, asked };
}

it('adds up pages and partitions, by source in the order of their names', async () => {
  const { store, asked } = counting([{ b: 1, a: 2 }, { b: 3 }]);
  expect(await countStanding(store, [{ target: SOURCE, upTo: 7 }], 2)).toEqual({
    slots: 12,
    sources: [
      { name: 'a', slots: 4 },
      { name: 'b', slots: 8 },
    ],
  });
  const request = { target: SOURCE, upTo: 7 };
  expect(asked).toEqual([
    { ...request, partition: 0, cursor: undefined },
    { ...request, partition: 1, cursor: undefined },
    { ...request, partition: 0, cursor: '1' },
    { ...request, partition: 1, cursor: '1' },
  ]);
});

it('asks behind a revocation for what counted before it', async () => {
  const { store, asked } = counting([{ 'payments-api': 5 }]);
  expect(await countEnded(store, ENDED)).toMatchObject({ slots: 10 });
  expect(asked[0]).toEqual({ target: SOURCE, partition: 0, above: 4, upTo: 9, cursor: undefined });
});

it('ends when it has counted very many, and says so', async () => {
  const { store, asked } = counting([{ a: 60_000 }, { a: 60_000 }, { a: 60_000 }]);
  expect(await countEnded(store, ENDED)).toEqual({
    slots: 180_000,
    sources: [{ name: 'a', slots: 180_000 }],
    truncated: true,
  });
  expect(asked).toHaveLength(3);
});

it('says nothing of what has ended where Redis fails, and passes on what is no failure of Redis', async () => {
  const failing = (error: Error): Store => ({ count: () => Promise.reject(error) }) as Partial<Store> as Store;
  expect(await countEnded(failing(new StoreError('count', 'unknown', 'away')), ENDED)).toEqual({});
  await expect(countEnded(failing(new TypeError('a fault')), ENDED)).rejects.toThrow('a fault');
  await expect(
    countStanding(failing(new StoreError('count', 'unknown', 'away')), [{ target: SOURCE }], 1),
  ).rejects.toThrow();
});

it('counts what was looked up one by one, and names no source where a slot has none', () => {
  expect(
    countFound([
      { slot: 's1', source: 'a' },
      { slot: 's2', source: '' },
    ]),
  ).toEqual({
    slots: 2,
    sources: [{ name: 'a', slots: 1 }],
  });
});
