/**
 * One replica's part of a limit, while replicas cannot ask what the others have called: the parts of all of them are the
 * limit, and none is shared.
 *
 * @param rank of this replica among `replicas`, from 0; those before it take the calls that do not divide
 */
export function shareOf(limit: number, replicas: number, rank: number): number {
  const count = Math.max(1, replicas);
  return Math.floor(limit / count) + (rank < limit % count ? 1 : 0);
}
