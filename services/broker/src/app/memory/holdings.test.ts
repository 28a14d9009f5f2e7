import { VirtualClock } from '@token-broker/testing';
import { expect, it } from 'vitest';
import { Held } from '../tokens/held.js';
import { countBySource, holdingsOf } from './holdings.js';
import { Memory } from './memory.js';

const MANY = 9_000;

function memoryOf(count: number): Memory {
  const ignore = {
    onApplied: () => undefined,
    onInvalidated: () => undefined,
    onHeld: () => undefined,
    onBehind: () => undefined,
  };
  const memory = new Memory(1, { maxEntries: 2 * MANY, maxBytes: 1e9 }, ignore);
  memory.beginEpoch(0, 1, 0);
  for (let index = 0; index < count; index++) memory.put(heldOf(index));
  return memory;
}

function heldOf(index: number): Held {
  return new Held(
    {
      address: {
        slot: String(index),
        partition: 0,
        source: index % 3 === 0 ? 'a' : 'b',
        provider: 'oauth2',
        recipe: 'r',
      },
      parameters: {},
      token: { accessToken: 't', tokenType: 'Bearer' },
      generation: 1,
      expiresAtMs: 3e6,
      lifeMs: 3e6,
      asOf: { epoch: 1, vseq: 0, redisMs: 0, sentAtMs: 0 },
    },
    { tickMs: 1_000, maxStalenessMs: 60_000, minLifetimeMs: 5_000 },
    0,
  );
}

it('counts very many tokens a part at a time, so that others get their turn', async () => {
  const clock = new VirtualClock();
  const memory = memoryOf(MANY);
  let isDone = false;
  const counting = holdingsOf(memory, clock, 1_000).finally(() => (isDone = true));
  await Promise.resolve();
  expect(isDone).toBe(false);
  await clock.advance(100);
  const counts = countBySource(memory, clock);
  await clock.advance(100);
  expect(Object.fromEntries(await counts)).toEqual({ a: MANY / 3, b: (2 * MANY) / 3 });
  const counted = [...(await counting)].map(([source, { held, inDemand }]) => [source, held, inDemand]);
  expect(counted).toEqual([
    ['a', MANY / 3, MANY / 3],
    ['b', (2 * MANY) / 3, (2 * MANY) / 3],
  ]);
});

it('comes to an end although what it has counted is used and moves behind what it has not', async () => {
  const clock = new VirtualClock();
  const memory = memoryOf(MANY);
  let nowMs = 0;
  const counting = holdingsOf(memory, clock, 1_000);
  for (let turn = 0; turn < 20; turn++) {
    nowMs += 1_000;
    for (let index = 0; index < MANY; index++) memory.use(String(index), nowMs);
    await clock.advance(10);
  }
  const held = [...(await counting).values()].reduce((sum, each) => sum + each.held, 0);
  expect(held).toBe(MANY);
});
