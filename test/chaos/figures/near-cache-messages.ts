/** What a process of near caches is told at its start. */
export interface NearCachesSettings {
  /** Where each near cache connects to; there are as many as addresses. */
  readonly addresses: readonly string[];
  readonly caller: string;
  readonly password: string;
  readonly source: string;
  /** The share of the messages to each near cache that is lost, replies to its own requests too. */
  readonly lostShare: number;
  /** Of what is lost. */
  readonly seed: number;
}

/** A line that the process prints, when what a near cache would serve has changed. Times are of the machine's clock. */
export type NearCacheLine =
  | { readonly kind: 'serves'; readonly nearCache: number; readonly generation: number }
  | {
      readonly kind: 'stopped';
      readonly nearCache: number;
      /** The one that is served no more. */
      readonly generation: number;
      readonly lastServedAtMs: number;
      /** When this was seen: at the event, or at the next look. */
      readonly seenAtMs: number;
    };
