import { delay, within } from '@token-broker/foundation';
import { describe, expect, it } from 'vitest';
import { VirtualClock } from './virtual-clock.js';

describe('VirtualClock', () => {
  it('fires timers in the order in which they are due, each at its own time', async () => {
    const clock = new VirtualClock();
    const fired: string[] = [];
    const note = (name: string) => (): void => void fired.push(`${name}@${String(clock.elapsedMs())}`);
    clock.startTimer(30, note('late'));
    clock.startTimer(10, note('early'));
    clock.startTimer(10, note('early, started second'));
    clock.startTimer(31, note('not yet'));
    await clock.advance(30);
    expect(fired).toEqual(['early@10', 'early, started second@10', 'late@30']);
    expect(clock.elapsedMs()).toBe(30);
    expect(clock.pendingTimers).toBe(1);
    expect(clock.nextTimerInMs).toBe(1);
  });

  it('runs what a timer sets off before the next one fires, and timers that are started on the way', async () => {
    const clock = new VirtualClock();
    const steps: string[] = [];
    const work = (async () => {
      await delay(clock, 10);
      for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
      steps.push(`first@${String(clock.elapsedMs())}`);
      await delay(clock, 5);
      steps.push(`second@${String(clock.elapsedMs())}`);
    })();
    clock.startTimer(11, () => steps.push('other@11'));
    await clock.advance(20);
    await work;
    expect(steps).toEqual(['first@10', 'other@11', 'second@15']);
  });

  it('never fires a timer that was cancelled, also by one of the same moment', async () => {
    const clock = new VirtualClock();
    let fired = false;
    clock.startTimer(10, () => {
      second.cancel();
    });
    const second = clock.startTimer(10, () => {
      fired = true;
    });
    await clock.advance(100);
    expect(fired).toBe(false);
    expect(clock.pendingTimers).toBe(0);
  });

  it('keeps elapsed time and timers apart from a jump of the wall clock', async () => {
    const clock = new VirtualClock(1_000_000);
    const limited = within(clock, 50, new Promise(() => undefined));
    clock.jumpWall(-3_600_000);
    expect(clock.wallMs()).toBe(1_000_000 - 3_600_000);
    expect(clock.elapsedMs()).toBe(0);
    await clock.advance(50);
    expect(await limited).toEqual({ inTime: false });
    expect(clock.wallMs()).toBe(1_000_050 - 3_600_000);
  });
});
