import type { PartitionState } from './partition-state.js';

/**
 * The slots of one source in one partition: what a revocation of the source ends with one number, however many they are.
 * Each is dropped, and its listeners are told, when it is next asked for or when the {@link Sweep} comes to it.
 */
export class Cohort<Member> {
  readonly source: string;
  readonly partition: PartitionState<Member>;
  /** The slots whose last reply named the partition, with or without a token. */
  readonly members = new Set<Member>();
  /** Their tokens of this generation or below have ended. Read on the hot path. */
  floor = 0;
  /** Of this generation or below, they ended together with those of every other source. */
  floorOfAll = 0;

  constructor(source: string, partition: PartitionState<Member>) {
    this.source = source;
    this.partition = partition;
  }

  /** Ends what is of this generation or below. `false`: it had ended before. */
  raise(floor: number, ofAll: boolean): boolean {
    if (floor <= this.floor) return false;
    this.floor = floor;
    if (ofAll) this.floorOfAll = floor;
    return true;
  }

  /** The numbers of another epoch say nothing about those before. */
  begin(): void {
    this.floor = 0;
    this.floorOfAll = 0;
  }
}
