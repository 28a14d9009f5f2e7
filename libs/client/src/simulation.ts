/** Inner parts of the client that the simulation in `test/simulation` breaks on purpose. Not a part of the built package. */
export { PartitionState } from './near-cache/partition-state.js';
