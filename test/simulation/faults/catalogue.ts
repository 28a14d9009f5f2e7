import { CLOCK_FAULTS } from './clock-faults.js';
import type { FaultKind } from './fault-kind.js';
import { LINK_FAULTS } from './link-faults.js';
import { LOCK_FAULTS } from './lock-faults.js';
import { OPERATIONS } from './operations.js';
import { PROCESS_FAULTS } from './process-faults.js';
import { QUOTA_FAULTS } from './quota-faults.js';
import { REFRESH_TOKEN_FAULTS } from './refresh-token-faults.js';
import { STORE_FAULTS } from './store-faults.js';
import { STORIES } from './stories.js';
import { LATER_UPSTREAM_FAULTS, UPSTREAM_FAULTS } from './upstream-faults.js';

export type { FaultGroup, FaultKind } from './fault-kind.js';

/** Everything that can happen, in an order that seeds depend on: add at the end. */
export const KINDS: readonly FaultKind[] = [
  ...LINK_FAULTS,
  ...STORE_FAULTS,
  ...LOCK_FAULTS,
  ...UPSTREAM_FAULTS,
  ...PROCESS_FAULTS,
  ...CLOCK_FAULTS,
  ...OPERATIONS,
  ...STORIES,
  ...LATER_UPSTREAM_FAULTS,
  ...REFRESH_TOKEN_FAULTS,
  ...QUOTA_FAULTS,
];

export function kindOf(name: string): FaultKind {
  const kind = KINDS.find((one) => one.name === name);
  if (kind === undefined) throw new RangeError(`there is no fault "${name}"`);
  return kind;
}
