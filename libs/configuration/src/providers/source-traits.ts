import type { Redacted } from '@token-broker/foundation';

/**
 * What follows from the settings of a source, for the parts of the broker that know no kind of source. Lists are JSON
 * values in an order that never changes, in which no two configurations look the same.
 */
export interface SourceTraits {
  /** All that can change a token: under another recipe, a token is another one. Holds secrets. */
  readonly recipe: readonly unknown[];
  /** Who is known to the upstream, and counts there. Without secrets: a rotated one changes no budget. */
  readonly upstream: readonly unknown[];
  /** What it proves itself with. Holds secrets. */
  readonly credential: readonly unknown[];
  /** What its provider is made of beside the recipe: a change takes another provider, and leaves the tokens as they are. */
  readonly besides: readonly unknown[];
  /** What must be in no log line, whoever repeats it. */
  readonly secrets: readonly Redacted[];
  /** What operators are shown. */
  readonly summary: {
    /** The way of getting a token: the grant, the operation. */
    readonly grant: string;
    /** Where it comes from, without what a URL may hold beside its place; empty: from nowhere. */
    readonly endpoint: string;
    /** Who asks; empty: nobody in particular. */
    readonly clientId: string;
  };
}
