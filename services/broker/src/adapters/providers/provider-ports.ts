import type { Clock } from '@token-broker/foundation';
import type { Lender } from '../../app/ports/provider.js';
import type { Log } from '../../app/ports/telemetry.js';

/** What every kind of provider is made with. */
export interface ProviderPorts {
  readonly clock: Clock;
  readonly log: Log;
  /** Credentials of other sources, for providers that sign or ask with one. */
  readonly lend: Lender;
}
