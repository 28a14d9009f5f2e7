import { VirtualClock } from '@token-broker/testing';
import { expect, it } from 'vitest';
import { Acknowledgements } from './acknowledgements.js';

it('is over when the last of those expected has confirmed, and tells when each did', async () => {
  const clock = new VirtualClock();
  const acknowledgements = new Acknowledgements(clock);
  const collector = acknowledgements.expect('id');
  acknowledgements.confirm('id', 'a');
  const complete = collector.waitFor(['a', 'b'], 1_000);
  await clock.advance(20);
  acknowledgements.confirm('id', 'b');
  acknowledgements.confirm('id', 'b');
  expect(await complete).toBe(true);
  expect([...collector.confirmed]).toEqual([
    ['a', 0],
    ['b', 20],
  ]);
  expect(clock.pendingTimers).toBe(0);
});

it('waits no longer than its limit, and takes neither strangers nor other messages for those expected', async () => {
  const clock = new VirtualClock();
  const acknowledgements = new Acknowledgements(clock);
  const complete = acknowledgements.expect('id').waitFor(['a'], 1_000);
  acknowledgements.confirm('id', 'b');
  acknowledgements.confirm('other', 'a');
  await clock.advance(1_000);
  expect(await complete).toBe(false);
});

it('waits for nobody where nobody is expected', async () => {
  expect(await new Acknowledgements(new VirtualClock()).expect('id').waitFor([], 1_000)).toBe(true);
});

it('collects nothing after it was closed, and leaves a later collection of the same message alone', async () => {
  const acknowledgements = new Acknowledgements(new VirtualClock());
  const first = acknowledgements.expect('id');
  const second = acknowledgements.expect('id');
  first.close();
  acknowledgements.confirm('id', 'a');
  expect(first.confirmed.size).toBe(0);
  expect(await second.waitFor(['a'], 0)).toBe(true);
  second.close();
  acknowledgements.confirm('id', 'b');
  expect(second.confirmed.has('b')).toBe(false);
});
