import type { Configuration, SourceConfiguration, SourceTraits } from '@token-broker/configuration';
import { configurationFingerprint, credentialOf, recipeOf, upstreamOf } from '../../domain/recipe.js';

/** What follows from a source's settings, and from those of the sources that lend to it. */
export type TraitsOf = (source: SourceConfiguration, sources: ReadonlyMap<string, SourceConfiguration>) => SourceTraits;

/** What a source is known by in the cluster. Keyed: they cover secrets, and say nothing of them. */
export interface SourceFingerprints {
  /** Of everything that can change its tokens. */
  readonly recipe: string;
  /** Of the upstream identity that its calls count for. */
  readonly upstream: string;
  /** Of what it proves itself with there. */
  readonly credential: string;
}

export function fingerprintsOf(recipeKey: Uint8Array, traits: SourceTraits): SourceFingerprints {
  return {
    recipe: recipeOf(recipeKey, traits.recipe),
    upstream: upstreamOf(recipeKey, traits.upstream),
    credential: credentialOf(recipeKey, traits.credential),
  };
}

/** The fingerprint that replicas with the same sources and callers share. */
export function fingerprintOf(recipeKey: Uint8Array, configuration: Configuration, traitsOf: TraitsOf): string {
  const recipe = (source: SourceConfiguration): string =>
    recipeOf(recipeKey, traitsOf(source, configuration.sources).recipe);
  return configurationFingerprint(recipeKey, [
    [...configuration.sources.values()].map((source) => [source.name, recipe(source)]).sort(byName),
    [...configuration.callers.values()]
      .map((caller) => [
        caller.name,
        caller.admin,
        [...caller.grants].map(([name, grant]) => [name, grant.scopes, grant.audiences]).sort(byName),
        // Only where they say more than the name does, so that a configuration without them keeps its version.
        ...(isOwnName(caller) ? [] : [caller.clientIds]),
      ])
      .sort(byName),
  ]);
}

function isOwnName({ name, clientIds }: { readonly name: string; readonly clientIds: readonly string[] }): boolean {
  return clientIds.length === 1 && clientIds[0] === name;
}

function byName(a: readonly unknown[], b: readonly unknown[]): number {
  return String(a[0]) < String(b[0]) ? -1 : 1;
}
