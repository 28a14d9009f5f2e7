/**
 * Now, in milliseconds since the epoch with a fraction, from the machine's monotonic clock: times that several processes
 * of one machine took with it can be compared.
 */
export function machineNowMs(): number {
  return performance.timeOrigin + performance.now();
}
