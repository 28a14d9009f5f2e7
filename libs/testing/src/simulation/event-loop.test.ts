import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../seeded-random.js';
import { EventLoop } from './event-loop.js';

describe('an event loop', () => {
  it('lets things happen by their time, and those of one moment in the order in which they were scheduled', async () => {
    const random = new SeededRandom();
    const loop = new EventLoop();
    const expected: { readonly atMs: number; readonly order: number }[] = [];
    const happened: { readonly atMs: number; readonly order: number }[] = [];
    for (let order = 0; order < 1_000; order++) {
      const event = { atMs: random.integer(50), order };
      const scheduled = loop.at(event.atMs, () => {
        expect(loop.nowMs).toBe(event.atMs);
        happened.push(event);
      });
      if (random.integer(4) === 0) scheduled.cancel();
      else expected.push(event);
    }
    await loop.run(100);
    expected.sort((a, b) => a.atMs - b.atMs || a.order - b.order);
    expect(happened, String(random)).toEqual(expected);
    expect(loop.steps).toBe(expected.length);
    expect(loop.nowMs).toBe(100);
  });

  it('lets all that one event sets off in promise callbacks run before the next', async () => {
    const loop = new EventLoop();
    const happened: string[] = [];
    // More events than turns are asked for at a time.
    for (let i = 0; i < 100; i++)
      loop.at(i, () => {
        happened.push(`begins ${String(i)}`);
        let chain = Promise.resolve();
        for (let k = 0; k < 200; k++) chain = chain.then(() => undefined);
        void chain.then(() => happened.push(`ends ${String(i)}`));
      });
    await loop.run(100);
    expect(happened).toEqual(Array.from({ length: 200 }, (_, i) => `${i % 2 ? 'ends' : 'begins'} ${String(i >> 1)}`));
  });

  it('lets promise callbacks run that were ready before it began', async () => {
    const loop = new EventLoop();
    const happened: string[] = [];
    loop.at(0, () => happened.push('event'));
    void Promise.resolve()
      .then(() => undefined)
      .then(() => happened.push('before'));
    await loop.run(0);
    expect(happened).toEqual(['before', 'event']);
  });

  it('stops at its time and goes on from there, and leaves nothing undone that is due', async () => {
    const loop = new EventLoop();
    const happened: number[] = [];
    const again = (): void => {
      happened.push(loop.nowMs);
      if (happened.length < 5) loop.after(10, again);
    };
    loop.after(10, again);
    await loop.run(30);
    expect(happened).toEqual([10, 20, 30]);
    await loop.run(45);
    expect(happened).toEqual([10, 20, 30, 40]);
    expect(loop.nowMs).toBe(45);
  });

  it('takes what is in the past as due now', async () => {
    const loop = new EventLoop();
    await loop.run(10);
    let atMs = -1;
    loop.at(3, () => (atMs = loop.nowMs));
    await loop.run(10);
    expect(atMs).toBe(10);
  });

  it('ends where it is told to, when the consequences of the step are over', async () => {
    const loop = new EventLoop();
    let ended = 0;
    for (let i = 1; i <= 5; i++) loop.at(i, () => void Promise.resolve().then(() => (ended = i)));
    await loop.run(10, () => ended < 3);
    expect(ended).toBe(3);
    expect(loop.nowMs).toBe(3);
    await loop.run(10);
    expect(ended).toBe(5);
  });

  it('hands on what an event throws', async () => {
    const loop = new EventLoop();
    loop.at(1, () => {
      throw new Error('a bug');
    });
    await expect(loop.run(10)).rejects.toThrow('a bug');
  });
});
