import type { FlightNotice } from '@token-broker/protocol';
import { VirtualClock } from '@token-broker/testing';
import { expect, it } from 'vitest';
import { Notices } from './notices.js';

const notice = (slot: string, generation = 1): FlightNotice => ({
  v: 1,
  outcome: 'committed',
  broker: 'b2',
  slot,
  epoch: 1,
  generation,
});

it('does not lose a notice that comes before the wait', async () => {
  const notices = new Notices(new VirtualClock());
  const listener = notices.listen('s');
  notices.announce(notice('s'));
  expect(await listener.next(1_000)).toEqual(notice('s'));
});

it('wakes everybody who waits for the slot, at once, and nobody else', async () => {
  const clock = new VirtualClock();
  const notices = new Notices(clock);
  const [one, two, other] = [notices.listen('s'), notices.listen('s'), notices.listen('t')];
  const waits = [one.next(1_000), two.next(1_000), other.next(1_000)];
  notices.announce(notice('s'));
  expect(await Promise.all(waits.slice(0, 2))).toEqual([notice('s'), notice('s')]);
  await clock.advance(1_000);
  expect(await waits[2]).toBeUndefined();
  expect(clock.pendingTimers).toBe(0);
});

it('gives a notice once, the latest where there were several', async () => {
  const clock = new VirtualClock();
  const notices = new Notices(clock);
  const listener = notices.listen('s');
  notices.announce(notice('s', 1));
  notices.announce(notice('s', 2));
  expect(await listener.next(1_000)).toMatchObject({ generation: 2 });
  const next = listener.next(1_000);
  await clock.advance(1_000);
  expect(await next).toBeUndefined();
});

it('hears nothing after it was closed, and takes nobody else with it', async () => {
  const notices = new Notices(new VirtualClock());
  const [closed, open] = [notices.listen('s'), notices.listen('s')];
  closed.close();
  closed.close();
  notices.announce(notice('s'));
  expect(await open.next(1_000)).toEqual(notice('s'));
  open.close();
  const again = notices.listen('s');
  closed.close();
  notices.announce(notice('s', 3));
  expect(await again.next(1_000)).toMatchObject({ generation: 3 });
});
