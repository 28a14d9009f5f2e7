import { createHash } from 'node:crypto';
import type { Configuration, SourceConfiguration } from '@token-broker/configuration';
import type { Provider } from '../ports/provider.js';
import { credentialOfSource, fingerprintOf, recipeOfSource, upstreamOfSource } from './source-fingerprints.js';
import type { Snapshot, Source } from './sources.js';

/** Makes a source's way to its identity provider. */
export type ProviderFactory = (source: SourceConfiguration) => Provider;

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
  createProvider: ProviderFactory,
): Plan {
  const after = new Map<string, Source>();
  const quotas = quotasByUpstream(configuration, recipeKey);
  for (const [name, source] of configuration.sources) {
    const recipe = recipeOfSource(recipeKey, source);
    const upstream = upstreamOfSource(recipeKey, source);
    const credential = credentialOfSource(recipeKey, source);
    const quota = quotas.get(upstream) ?? [];
    const running = before.sources.get(name);
    const isSame = running?.recipe === recipe && isSameSource(running.configuration, source);
    after.set(
      name,
      isSame
        ? { ...running, configuration: source, quota }
        : { configuration: source, provider: createProvider(source), recipe, upstream, credential, quota },
    );
  }
  const [old, now] = [providersOf(before.sources), providersOf(after)];
  return {
    snapshot: {
      sources: after,
      callers: configuration.callers,
      fingerprint: fingerprintOf(recipeKey, configuration),
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

/** One of the sources of an upstream identity states its limits for all of them; where several do, they agree. */
function quotasByUpstream(
  { sources }: Configuration,
  recipeKey: Uint8Array,
): ReadonlyMap<string, SourceConfiguration['quota']> {
  const stated = [...sources.values()].filter(({ quota }) => quota.length > 0);
  return new Map(stated.map((source) => [upstreamOfSource(recipeKey, source), source.quota]));
}

function providersOf(sources: ReadonlyMap<string, Source>): ReadonlySet<Provider> {
  return new Set([...sources.values()].map(({ provider }) => provider));
}

/** Whether a provider that was made for one serves the other: all of it that the recipe leaves out. */
function isSameSource(a: SourceConfiguration, b: SourceConfiguration): boolean {
  return JSON.stringify(besideRecipe(a)) === JSON.stringify(besideRecipe(b));
}

/** What a provider is made of, and no token. */
function besideRecipe({ timeoutMs, defaultLifetimeMs, maxLifetimeMs, endpoint, grant }: SourceConfiguration): unknown {
  return [
    ...[timeoutMs, defaultLifetimeMs, maxLifetimeMs],
    ...(endpoint.kind === 'issuer'
      ? []
      : [endpoint.revocationEndpoint ?? null, endpoint.introspectionEndpoint ?? null]),
    ...(grant.kind === 'jwt_bearer' && grant.assertion.from === 'key' ? [grant.assertion.lifetimeMs] : []),
  ];
}
