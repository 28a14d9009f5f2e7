import { VirtualClock } from '@token-broker/testing';
import { expect, it } from 'vitest';
import { borrowTime, timeOf } from './process-time.js';

it('is one for all clients of the process, until the last has given it back', () => {
  const [one, two] = [borrowTime(), borrowTime()];
  expect(two.time).toBe(one.time);
  one.giveBack();
  one.giveBack();
  const three = borrowTime();
  expect(three.time).toBe(one.time);
  two.giveBack();
  three.giveBack();
  const four = borrowTime();
  expect(four.time).not.toBe(one.time);
  four.giveBack();
});

it('is the clock itself where a client was given one', async () => {
  const clock = new VirtualClock();
  const { time } = timeOf(clock);
  expect(time.nowMs()).toBe(clock.elapsedMs());
  await clock.advance(5);
  expect(time.nowMs()).toBe(clock.elapsedMs());
});
