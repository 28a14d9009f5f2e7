/* eslint-disable no-restricted-properties -- no port of time can be compared across processes, or be set wrong in one */

/**
 * Milliseconds of the machine's monotonic clock: the same in all processes of one machine, so that a moment in one can be
 * compared with one in another, whatever is done to wall clocks.
 */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Sets the wall clock of this process wrong by so much. What is returned sets it on, or back, once more. */
export function wallClockMoved(offByMs: number): (ms: number) => void {
  const trueWallMs = Date.now.bind(Date);
  let movedMs = offByMs;
  Date.now = () => trueWallMs() + movedMs;
  return (ms) => {
    movedMs += ms;
  };
}
