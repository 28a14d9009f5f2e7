import { describe, expect, it } from 'vitest';
import { EventLoop } from './event-loop.js';
import { MachineClock } from './machine-clock.js';

describe('the clock of a machine', () => {
  it('drifts: its timers and its times go by its own rate', async () => {
    const loop = new EventLoop();
    const [fast, slow] = [new MachineClock(loop, 1.1), new MachineClock(loop, 0.9)];
    const fired: string[] = [];
    fast.startTimer(1_100, () => fired.push(`fast ${loop.nowMs.toFixed(0)}`));
    slow.startTimer(900, () => fired.push(`slow ${loop.nowMs.toFixed(0)}`));
    await loop.run(10_000);
    expect(fired).toEqual(['fast 1000', 'slow 1000']);
    expect(fast.elapsedMs()).toBeCloseTo(11_000);
    expect(slow.elapsedMs()).toBeCloseTo(9_000);
    expect(fast.wallMs() - slow.wallMs()).toBe(2_000);
  });

  it('does not fire what was cancelled', async () => {
    const loop = new EventLoop();
    const clock = new MachineClock(loop);
    let fired = false;
    clock.startTimer(10, () => (fired = true)).cancel();
    await loop.run(100);
    expect(fired).toBe(false);
  });

  it('elapses at least as much as the wall clock jumps on, and takes nothing back', async () => {
    const loop = new EventLoop();
    const clock = new MachineClock(loop);
    await loop.run(1_000);
    clock.jumpWall(60_000);
    const afterMs = clock.elapsedMs();
    // A step of the wall clock counts but for its rounding.
    expect(afterMs).toBeGreaterThanOrEqual(60_998);
    expect(afterMs).toBeLessThanOrEqual(61_000);
    clock.jumpWall(-120_000);
    expect(clock.elapsedMs()).toBe(afterMs);
    await loop.run(2_000);
    expect(clock.elapsedMs()).toBeCloseTo(afterMs + 1_000);
    expect(clock.wallMs()).toBe(Date.UTC(2026, 0, 1) + 2_000 - 60_000);
  });

  it('holds its timers while it is suspended, though time has elapsed afterwards', async () => {
    const loop = new EventLoop();
    const clock = new MachineClock(loop);
    const fired: string[] = [];
    clock.startTimer(1_000, () => fired.push(`first ${loop.nowMs.toFixed(0)}`));
    await loop.run(400);
    clock.suspend();
    clock.startTimer(100, () => fired.push(`second ${loop.nowMs.toFixed(0)}`));
    await loop.run(10_400);
    expect(fired).toEqual([]);
    expect(clock.isSuspended).toBe(true);
    clock.resume();
    const elapsedMs = clock.elapsedMs();
    expect(elapsedMs).toBeGreaterThanOrEqual(10_398);
    expect(elapsedMs).toBeLessThanOrEqual(10_400);
    await loop.run(20_000);
    expect(fired).toEqual(['second 10500', 'first 11000']);
  });

  it('tells of a sleep and of a wall clock that was set back until somebody looks: both together hide each other', async () => {
    const loop = new EventLoop();
    const clock = new MachineClock(loop);
    const unseen = (): readonly boolean[] => [clock.hasSleptUnseen, clock.wasSetBackUnseen];
    await loop.run(1_000);
    clock.jumpWall(5_000);
    expect(unseen()).toEqual([false, false]);
    clock.jumpWall(-5_000);
    expect(unseen()).toEqual([false, true]);
    const beforeMs = clock.elapsedMs();
    expect(unseen()).toEqual([false, false]);
    clock.suspend();
    // Who looks while it falls asleep has not seen how long it sleeps.
    clock.elapsedMs();
    await loop.run(7_000);
    clock.resume();
    expect(unseen()).toEqual([true, false]);
    clock.jumpWall(-6_000);
    expect(unseen()).toEqual([true, true]);
    // Why: nobody who looks at both clocks now can know of those six seconds.
    expect(clock.elapsedMs()).toBe(beforeMs);
    expect(unseen()).toEqual([false, false]);
  });

  it('ends with its process', async () => {
    const loop = new EventLoop();
    const clock = new MachineClock(loop);
    let fired = false;
    clock.startTimer(10, () => (fired = true));
    clock.stop();
    await loop.run(100);
    expect(fired).toBe(false);
  });
});
