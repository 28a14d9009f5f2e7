import { expect, it } from 'vitest';
import { inTurns } from './in-turns.js';

it('works on no more than so many at once, and keeps their order', async () => {
  let [now, most] = [0, 0];
  const results = await inTurns([5, 1, 4, 2, 3, 0, 6], 3, async (item, index) => {
    most = Math.max(most, ++now);
    for (let i = 0; i < item; i++) await Promise.resolve();
    now--;
    return `${String(index)}:${String(item)}`;
  });
  expect(most).toBe(3);
  expect(results).toEqual(['0:5', '1:1', '2:4', '3:2', '4:3', '5:0', '6:6']);
});

it('rejects as soon as one of them does', async () => {
  const work = inTurns([1, 2, 3, 4], 2, (item) =>
    item === 2 ? Promise.reject(new Error('two')) : Promise.resolve(item),
  );
  await expect(work).rejects.toThrow('two');
});
