import type { Clock, Redacted } from '@token-broker/foundation';
import type { issued, refused } from './outcomes.js';
import type { Lender, ProviderImplementation } from './provider.js';

/** What a module of one's own is given to make the provider of one source. It need import nothing. */
export interface ProviderSurroundings {
  /** The source's. */
  readonly name: string;
  /** `options` of the source, as they stand in the file, references resolved. */
  readonly options: Readonly<Record<string, unknown>>;
  /** `secrets` of the source. None of them is in a failure: the broker masks them. */
  readonly secrets: ReadonlyMap<string, Redacted>;
  /** The time that each call has; `call.signal` is aborted when it is over. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** Writes a line into the broker's log. Never a secret. */
  readonly warn: (message: string) => void;
  /** Credentials of other sources. */
  readonly lend: Lender;
  readonly issued: typeof issued;
  readonly refused: typeof refused;
}

/**
 * What a module exports by the name `createProvider`. It is called once for each source that names the module, and again
 * when the source changes. A rejection is the answer of each call of that source.
 */
export type CreateProvider = (
  surroundings: ProviderSurroundings,
) => ProviderImplementation | Promise<ProviderImplementation>;
