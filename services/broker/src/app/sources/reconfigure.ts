import { createHash } from 'node:crypto';
import type { Configuration, SourceConfiguration, SourceTraits } from '@token-broker/configuration';
import type { Provider } from '../ports/provider.js';
import { fingerprintOf, fingerprintsOf, type TraitsOf } from './source-fingerprints.js';
import type { Snapshot, Source } from './sources.js';

/** All that is known of kinds of providers. */
export interface ProviderKinds {
  /** Makes a source's way to its upstream. */
  readonly createProvider: (source: SourceConfiguration) => Provider;
  readonly traitsOf: TraitsOf;
}

/** What a new configuration means for the running one. */
export interface Plan {
  /** Under the version of the running one, until the cluster has given it its own. */
  readonly snapshot: Snapshot;
  /** Sources that are gone or whose tokens would be other ones now. */
  readonly changed: readonly string[];
  /** Providers that were made for it, and those that nobody uses any more. */
  readonly made: readonly Provider[];
  readonly retired: readonly Provider[];
}

export function planConfiguration(
  before: Snapshot,
  configuration: Configuration,
  recipeKey: Uint8Array,
  { createProvider, traitsOf }: ProviderKinds,
): Plan {
  const after = new Map<string, Source>();
  const known = new Map(
    [...configuration.sources.values()].map((source) => {
      const traits = traitsOf(source, configuration.sources);
      return [source.name, { traits, ...fingerprintsOf(recipeKey, traits) }] as const;
    }),
  );
  const quotas = new Map<string, SourceConfiguration['quota']>();
  // One of the sources of an upstream identity states its limits for all of them; where several do, they agree.
  for (const { name, quota } of configuration.sources.values()) {
    const upstream = known.get(name)?.upstream;
    if (quota.length > 0 && upstream !== undefined) quotas.set(upstream, quota);
  }
  for (const [name, made] of known) {
    const source = configuration.sources.get(name);
    if (source === undefined) continue;
    const running = before.sources.get(name);
    const quota = quotas.get(made.upstream) ?? [];
    const isSame = running?.recipe === made.recipe && isMadeOfTheSame(running.traits, made.traits);
    const provider = isSame ? running.provider : createProvider(source);
    after.set(name, { configuration: source, provider, ...made, quota });
  }
  const [old, now] = [providersOf(before.sources), providersOf(after)];
  return {
    snapshot: {
      sources: after,
      callers: configuration.callers,
      fingerprint: fingerprintOf(recipeKey, configuration, traitsOf),
      policy: before.policy,
    },
    changed: [...before.sources]
      .filter(([name, { recipe }]) => after.get(name)?.recipe !== recipe)
      .map(([name]) => name),
    made: [...now].filter((provider) => !old.has(provider)),
    retired: [...old].filter((provider) => !now.has(provider)),
  };
}

/** Replicas that apply one configuration name the end of a source's tokens alike: together they make one revocation. */
export function cutoffId(policy: number, source: string): string {
  return createHash('sha256')
    .update(`${String(policy)} ${source}`)
    .digest('base64url')
    .slice(0, 22);
}

function providersOf(sources: ReadonlyMap<string, Source>): ReadonlySet<Provider> {
  return new Set([...sources.values()].map(({ provider }) => provider));
}

/** Whether a provider that was made for one serves the other: all of it that the recipe leaves out. */
function isMadeOfTheSame(a: SourceTraits, b: SourceTraits): boolean {
  return JSON.stringify(a.besides) === JSON.stringify(b.besides);
}
