import type { Clock } from '@token-broker/foundation';
import type { Audit } from '../../app/ports/audit.js';

/** How long further attempts from one address are gathered into one record. */
const GATHER_MS = 10_000;
/** Refusals of one address in that time, after which it is told to come back later. */
const MAX_REFUSALS = 20;
/** Addresses that are told apart at the same time. */
const MAX_ADDRESSES = 1_000;

/** Requests without credentials that count, written to the audit trail. */
export interface RefusedAttempts {
  /** Takes note of one. `true`: there were too many from there. Good credentials are never refused for it. */
  note(address: string): boolean;
  /** Writes what is still gathered. */
  flush(): void;
}

/** The first one from an address is written at once, what follows within 10 s as one record with its count. */
export function createRefusedAttempts(clock: Clock, audit: Audit): RefusedAttempts {
  const gathered = new Map<string, number>();

  // Nothing of the request: somebody may have put a token into its path.
  const write = (address: string, attempts: number): void =>
    audit.note({ event: 'http.refused', by: address, result: 'refused', facts: { attempts } });
  const close = (address: string): void => {
    const further = gathered.get(address) ?? 0;
    gathered.delete(address);
    if (further > 0) write(address, further);
  };

  return {
    note(from) {
      const address = gathered.has(from) || gathered.size < MAX_ADDRESSES ? from : '(others)';
      const further = gathered.get(address);
      if (further !== undefined) {
        gathered.set(address, further + 1);
        return further + 1 >= MAX_REFUSALS;
      }
      gathered.set(address, 0);
      clock.startTimer(GATHER_MS, () => close(address));
      write(address, 1);
      return false;
    },
    flush() {
      for (const address of [...gathered.keys()]) close(address);
    },
  };
}
