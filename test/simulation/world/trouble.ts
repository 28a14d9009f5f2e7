/** What a fault spoils for those who ask: nothing, the way of one client, that of all, or the identity provider. */
export type Spoils = 'nothing' | 'one-client' | 'everything' | 'upstream';

/** How long after the end of a fault its consequences may last: dead links are found, sessions are made, caches sync. */
const AFTERMATH_MS = 15_000;
/** The same, for the pause after failures in a row. */
const UPSTREAM_AFTERMATH_MS = 35_000;

/** A client by its number, all of them, or the way from brokers to identity providers. */
type Spoilt = number | 'all' | 'upstream';

/** Since when each client has had an unspoilt way to the truth. */
export class Trouble {
  readonly #now: () => number;
  readonly #untilMs = new Map<Spoilt, number>();
  readonly #active = new Map<Spoilt, number>();

  constructor(now: () => number) {
    this.#now = now;
  }

  begin(of: Spoilt): void {
    this.#active.set(of, (this.#active.get(of) ?? 0) + 1);
  }

  end(of: Spoilt, aftermathMs = of === 'upstream' ? UPSTREAM_AFTERMATH_MS : AFTERMATH_MS): void {
    this.#active.set(of, (this.#active.get(of) ?? 1) - 1);
    this.#untilMs.set(of, Math.max(this.#untilMs.get(of) ?? 0, this.#now() + aftermathMs));
  }

  healthySinceMs(client: number): number {
    return Math.max(this.#sinceMs(client), this.#sinceMs('all'));
  }

  /** Since when identity providers have answered well, with the pause after failures that may have followed. */
  get upstreamSinceMs(): number {
    return this.#sinceMs('upstream');
  }

  #sinceMs(of: Spoilt): number {
    // While it lasts, since never: what happens at this very moment is not well yet.
    return (this.#active.get(of) ?? 0) > 0 ? Number.POSITIVE_INFINITY : (this.#untilMs.get(of) ?? 0);
  }
}
