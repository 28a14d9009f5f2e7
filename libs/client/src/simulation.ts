/** Inner parts of the client that the simulation in `test/simulation` breaks on purpose. Not a part of the built package. */
export { Floors } from './near-cache/floors.js';
export { NearCache } from './near-cache/near-cache.js';
export { PartitionState } from './near-cache/partition-state.js';
export { Suspicion } from './suspicion.js';
