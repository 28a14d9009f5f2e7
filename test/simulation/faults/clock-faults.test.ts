import { EventLoop, SimulatedProcess } from '@token-broker/testing';
import { describe, expect, it } from 'vitest';
import { CLOCK_FAULTS } from './clock-faults.js';
import type { Aim } from './fault-kind.js';

const SLEEP_MS = 6_000;
/** The size of a jump by 8 s back. */
const FAR_BACK = 0;

function begin(name: string, process: SimulatedProcess): () => void {
  const kind = CLOCK_FAULTS.find((one) => one.name === name);
  const aim: unknown = { broker: { process }, target: 0, size: FAR_BACK };
  return kind?.begin(aim as Aim) ?? ((): void => undefined);
}

/** What the process has missed of the time that has passed when it looks at its clock. */
function missedMs(loop: EventLoop, { clock }: SimulatedProcess): number {
  return loop.nowMs - clock.elapsedMs();
}

describe('a sleep of a machine, and a wall clock that is set back', () => {
  it('do not come together for a process that was stopped beside, and has not looked since', async () => {
    const loop = new EventLoop();
    const process = new SimulatedProcess(loop, 'b1');
    await loop.run(1_000);
    process.clock.elapsedMs();
    const wake = begin('broker-suspended', process);
    process.stop();
    await loop.run(1_000 + SLEEP_MS);
    wake();
    await loop.run(1_500 + SLEEP_MS);
    expect(process.state).toBe('stopped');
    begin('wall-clock-jumps', process);
    process.continue();
    expect(missedMs(loop, process)).toBeLessThan(5);
  });

  it('do not come together either where the jump is of a moment before', async () => {
    const loop = new EventLoop();
    const process = new SimulatedProcess(loop, 'b1');
    await loop.run(1_000);
    process.clock.elapsedMs();
    begin('wall-clock-jumps', process);
    const wake = begin('broker-suspended', process);
    await loop.run(1_000 + SLEEP_MS);
    wake();
    expect(missedMs(loop, process)).toBeLessThan(5);
  });

  it('both come where the process has looked in between', async () => {
    const loop = new EventLoop();
    const process = new SimulatedProcess(loop, 'b1');
    const wallMs = process.clock.wallMs();
    const wake = begin('broker-suspended', process);
    await loop.run(SLEEP_MS);
    wake();
    expect(process.clock.monotonicMs()).toBe(0);
    expect(missedMs(loop, process)).toBeLessThan(5);
    begin('wall-clock-jumps', process);
    expect(process.clock.wallMs()).toBeLessThan(wallMs);
    expect(missedMs(loop, process)).toBeLessThan(5);
  });
});
