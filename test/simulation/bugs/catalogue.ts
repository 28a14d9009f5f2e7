import { BROKER_BUGS } from './broker-bugs.js';
import type { Bug } from './bug.js';
import { BUDGET_BUGS } from './budget-bugs.js';
import { CLIENT_BUGS } from './client-bugs.js';
import { REFRESH_TOKEN_BUGS } from './refresh-token-bugs.js';
import { SCRIPT_BUGS } from './script-bugs.js';
import { STORE_BUGS } from './store-bugs.js';

/** Every rule that the simulation is known to miss when it is broken. */
export const BUGS: readonly Bug[] = [
  ...SCRIPT_BUGS,
  ...STORE_BUGS,
  ...BROKER_BUGS,
  ...CLIENT_BUGS,
  ...REFRESH_TOKEN_BUGS,
  ...BUDGET_BUGS,
];

export function bugOf(name: string): Bug {
  const bug = BUGS.find((one) => one.name === name);
  if (bug === undefined) throw new RangeError(`there is no planted bug "${name}"`);
  return bug;
}
