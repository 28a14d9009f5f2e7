import { createHash } from 'node:crypto';
import type { Configuration, SourceConfiguration } from '@token-broker/configuration';
import type { Provider } from './ports/provider.js';
import type { Store } from './ports/store.js';
import type { Log } from './ports/telemetry.js';
import { revoke, type RevocationPorts } from './revocation.js';
import { fingerprintOf, recipeOfSource, type Snapshot, type Source, type Sources } from './sources.js';

/** Makes a source's way to its identity provider. */
export type ProviderFactory = (source: SourceConfiguration) => Provider;

export interface ReconfigurePorts {
  readonly store: Store;
  readonly sources: Sources;
  readonly revocation: RevocationPorts;
  readonly createProvider: ProviderFactory;
  readonly log: Log;
  readonly recipeKey: () => Uint8Array;
}

/** What a new configuration means for the running one. */
export interface Plan {
  readonly snapshot: Snapshot;
  /** Sources that are gone or whose tokens would be other ones now. */
  readonly changed: readonly string[];
  /** Providers that nobody uses any more. */
  readonly retired: readonly Provider[];
}

export function planConfiguration(ports: ReconfigurePorts, configuration: Configuration): Plan {
  const { sources, createProvider, recipeKey } = ports;
  const before = sources.current;
  const after = new Map<string, Source>();
  for (const [name, source] of configuration.sources) {
    const recipe = recipeOfSource(recipeKey(), source);
    const running = before.sources.get(name);
    const isSame = running?.recipe === recipe && isSameSource(running.configuration, source);
    after.set(
      name,
      isSame
        ? { ...running, configuration: source }
        : { configuration: source, provider: createProvider(source), recipe },
    );
  }
  const kept = new Set([...after.values()].map(({ provider }) => provider));
  return {
    snapshot: {
      sources: after,
      callers: configuration.callers,
      fingerprint: fingerprintOf(recipeKey(), configuration),
      policy: before.policy,
    },
    changed: [...before.sources]
      .filter(([name, { recipe }]) => after.get(name)?.recipe !== recipe)
      .map(([name]) => name),
    retired: [...before.sources.values()].map(({ provider }) => provider).filter((provider) => !kept.has(provider)),
  };
}

/**
 * Puts a configuration into force, as a whole: the cluster's version first, then this broker's sources and callers, then
 * the end of what changed. Every replica does the same; the revocations carry the version in their ids, so that together
 * they make one. Rejects with a `StoreError` while Redis is away; before the swap nothing has happened then.
 */
export async function applyConfiguration(ports: ReconfigurePorts, plan: Plan): Promise<void> {
  const { store, sources, revocation, log } = ports;
  const policy = await store.registerPolicy(plan.snapshot.fingerprint);
  sources.replace({ ...plan.snapshot, policy });
  for (const name of plan.changed) revocation.memory.dropWhere((_, source) => source === name);
  await Promise.all(
    plan.changed.map((name) =>
      revoke(revocation, {
        target: { kind: 'source', source: name },
        by: 'configuration',
        reason: 'the source was changed or removed',
        id: cutoffId(policy, name),
        policy,
      }),
    ),
  );
  for (const provider of plan.retired) await provider.close();
  log.info('configuration: in force', { policy, sources: [...plan.snapshot.sources.keys()], changed: plan.changed });
}

function cutoffId(policy: number, source: string): string {
  return createHash('sha256')
    .update(`${String(policy)} ${source}`)
    .digest('base64url')
    .slice(0, 22);
}

/** Whether a provider that was made for one serves the other: all that the recipe leaves out, such as timeouts. */
function isSameSource(a: SourceConfiguration, b: SourceConfiguration): boolean {
  return (
    a.timeoutMs === b.timeoutMs && a.defaultLifetimeMs === b.defaultLifetimeMs && a.maxLifetimeMs === b.maxLifetimeMs
  );
}
