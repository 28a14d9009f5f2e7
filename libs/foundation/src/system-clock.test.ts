import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createSystemClock } from './system-clock.js';

const DAY_MS = 86_400_000;
const START = Date.UTC(2026, 10, 1);

beforeEach(() => {
  vi.useFakeTimers({
    toFake: ['Date', 'performance', 'setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate'],
    now: START,
  });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('the system clock', () => {
  it('tells wall time, and elapsed time from a start of its own', () => {
    const clock = createSystemClock();
    const before = clock.elapsedMs();
    vi.advanceTimersByTime(1_500);
    expect(clock.wallMs()).toBe(START + 1_500);
    expect(clock.elapsedMs() - before).toBe(1_500);
  });

  it('never goes backwards when the wall clock does', () => {
    const clock = createSystemClock();
    vi.advanceTimersByTime(1_000);
    const before = clock.elapsedMs();
    vi.setSystemTime(START - 3_600_000);
    expect(clock.elapsedMs()).toBe(before);
    vi.advanceTimersByTime(10);
    expect(clock.elapsedMs()).toBe(before + 10);
  });

  it('goes on while the machine was suspended: the wall clock moved, the monotonic one stood still', () => {
    const clock = createSystemClock();
    const before = clock.elapsedMs();
    vi.setSystemTime(START + 3_600_000);
    // One millisecond less than the wall clock shows, since that is cut to whole ones.
    expect(clock.elapsedMs() - before).toBe(3_599_999);
  });

  it('does not run ahead when it is asked often: the wall clock ticks in whole milliseconds', () => {
    const clock = createSystemClock();
    const before = clock.elapsedMs();
    for (let asked = 0; asked < 10_000; asked++) {
      vi.advanceTimersByTime(0.1);
      clock.elapsedMs();
    }
    expect(clock.elapsedMs() - before).toBeLessThanOrEqual(1_001);
  });

  it('fires once, after its delay, and not when it was cancelled', () => {
    const clock = createSystemClock();
    const fired: string[] = [];
    clock.startTimer(100, () => fired.push('kept'));
    const cancelled = clock.startTimer(100, () => fired.push('cancelled'));
    cancelled.cancel();
    vi.advanceTimersByTime(99);
    expect(fired).toEqual([]);
    vi.advanceTimersByTime(1_000);
    expect(fired).toEqual(['kept']);
    cancelled.cancel();
  });

  it('waits as long as it is told, also when that is longer than the machine can wait at once', () => {
    const clock = createSystemClock();
    let fired = 0;
    clock.startTimer(60 * DAY_MS, () => (fired += 1));
    const cancelled = clock.startTimer(60 * DAY_MS, () => (fired += 1));
    vi.advanceTimersByTime(60 * DAY_MS - 1);
    expect(fired).toBe(0);
    cancelled.cancel();
    vi.advanceTimersByTime(60 * DAY_MS);
    expect(fired).toBe(1);
  });

  it('waits for nothing but what is ready to run where there is no delay, or one that is past', () => {
    const clock = createSystemClock();
    const fired: number[] = [];
    const before = clock.elapsedMs();
    clock.startTimer(-5, () => fired.push(-5));
    clock.startTimer(0, () => fired.push(0));
    const cancelled = clock.startTimer(0, () => fired.push(1));
    cancelled.cancel();
    expect(fired).toEqual([]);
    vi.advanceTimersByTime(0);
    expect(fired).toEqual([-5, 0]);
    expect(clock.elapsedMs()).toBe(before);
  });
});
