import { VirtualClock } from '@token-broker/testing';
import { describe, expect, it } from 'vitest';
import { delay, within } from './clock.js';

/** Whether a promise has ended by now. */
async function hasEnded(clock: VirtualClock, promise: Promise<unknown>): Promise<boolean> {
  let ended = false;
  const note = (): void => {
    ended = true;
  };
  promise.then(note, note);
  await clock.settle();
  return ended;
}

describe('delay', () => {
  it('ends when its time has passed, and not before', async () => {
    const clock = new VirtualClock();
    const waiting = delay(clock, 1_000);
    await clock.advance(999);
    expect(await hasEnded(clock, waiting)).toBe(false);
    await clock.advance(1);
    expect(await hasEnded(clock, waiting)).toBe(true);
  });

  it('ends at once when it is aborted, and leaves no timer', async () => {
    const clock = new VirtualClock();
    const controller = new AbortController();
    const waiting = delay(clock, 1_000, controller.signal);
    controller.abort();
    expect(await hasEnded(clock, waiting)).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });

  it('does not begin to wait for what was aborted before', async () => {
    const clock = new VirtualClock();
    expect(await hasEnded(clock, delay(clock, 1_000, AbortSignal.abort()))).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });

  it('leaves no listener at a signal that lives longer', async () => {
    const clock = new VirtualClock();
    const controller = new AbortController();
    let listeners = 0;
    const { signal } = controller;
    const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)];
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners += 1;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners -= 1;
      remove(...args);
    };
    const waiting = delay(clock, 10, signal);
    expect(listeners).toBe(1);
    await clock.advance(10);
    await waiting;
    expect(listeners).toBe(0);
  });
});

describe('within', () => {
  it('gives the value of work that ends in time, and leaves no timer', async () => {
    const clock = new VirtualClock();
    const timed = within(
      clock,
      50,
      delay(clock, 49).then(() => 'done'),
    );
    await clock.advance(49);
    expect(await timed).toEqual({ inTime: true, value: 'done' });
    expect(clock.pendingTimers).toBe(0);
  });

  it('says that time ran out, and does not stop the work', async () => {
    const clock = new VirtualClock();
    let ended = false;
    const work = delay(clock, 51).then(() => {
      ended = true;
    });
    const timed = within(clock, 50, work);
    await clock.advance(50);
    expect(await timed).toEqual({ inTime: false });
    expect(ended).toBe(false);
    await clock.advance(1);
    expect(ended).toBe(true);
  });

  it('takes a limit that is past as none at all', async () => {
    const clock = new VirtualClock();
    const timed = within(clock, -5, new Promise(() => undefined));
    await clock.advance(0);
    expect(await timed).toEqual({ inTime: false });
  });

  it('passes the failure of the work on', async () => {
    const clock = new VirtualClock();
    await expect(within(clock, 50, Promise.reject(new Error('no answer')))).rejects.toThrow('no answer');
    expect(clock.pendingTimers).toBe(0);
  });

  it('turns a failure that is no error into one', async () => {
    const clock = new VirtualClock();
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- what a careless library does
    await expect(within(clock, 50, Promise.reject('no answer'))).rejects.toEqual(new Error('no answer'));
  });

  it('hears a failure that comes too late, so that it does not end the process', async () => {
    const clock = new VirtualClock();
    const late = delay(clock, 60).then(() => {
      throw new Error('late');
    });
    const timed = within(clock, 50, late);
    await clock.advance(100);
    // vitest fails a run with an unhandled rejection.
    expect(await timed).toEqual({ inTime: false });
  });
});
