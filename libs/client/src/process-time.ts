import { createSystemClock, Ticker, type Clock } from '@token-broker/foundation';
import type { Time } from './handle.js';

/** The machine's time, as all clients of this process share it: one worker serves them all. */
interface ProcessTime {
  readonly clock: Clock;
  readonly ticker: Ticker;
  users: number;
}

let ofProcess: ProcessTime | undefined;

/** Time for one client, until it gives it back. */
export interface BorrowedTime {
  readonly clock: Clock;
  readonly time: Time;
  readonly giveBack: () => void;
}

export function borrowTime(): BorrowedTime {
  if (ofProcess === undefined) {
    const clock = createSystemClock();
    ofProcess = { clock, ticker: new Ticker(clock), users: 0 };
  }
  const borrowed = ofProcess;
  borrowed.users++;
  let isBack = false;
  return {
    clock: borrowed.clock,
    time: borrowed.ticker,
    giveBack() {
      if (isBack) return;
      isBack = true;
      if (--borrowed.users > 0) return;
      borrowed.ticker.close();
      if (ofProcess === borrowed) ofProcess = undefined;
    },
  };
}

/** Another clock than the machine's: there is nothing cheaper than to read it. */
export function timeOf(clock: Clock): BorrowedTime {
  return { clock, time: { nowMs: () => clock.elapsedMs() }, giveBack: () => undefined };
}
