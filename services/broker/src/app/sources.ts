import type { CallerConfiguration, Configuration, SourceConfiguration, SourceGrant } from '@token-broker/configuration';
import { partitionOf, slotOf, type TokenParameters } from '@token-broker/protocol';
import { configurationFingerprint, recipeOf } from '../domain/recipe.js';
import type { Provider } from './ports/provider.js';
import type { SlotAddress } from './ports/store.js';

/** A source as it runs: its configuration, its way to the identity provider, its recipe. */
export interface Source {
  readonly configuration: SourceConfiguration;
  readonly provider: Provider;
  readonly recipe: string;
}

/** One loaded configuration of sources and callers. Replaced as a whole by a reload. */
export interface Snapshot {
  readonly sources: ReadonlyMap<string, Source>;
  readonly callers: ReadonlyMap<string, CallerConfiguration>;
  readonly fingerprint: string;
  /** The configuration's version in the cluster; 0 until Redis has given it one. */
  readonly policy: number;
}

/** The running configuration. Whoever awaits must read it again afterwards. */
export class Sources {
  readonly #partitions: number;
  #current: Snapshot = { sources: new Map(), callers: new Map(), fingerprint: '', policy: 0 };

  constructor(partitions: number) {
    this.#partitions = partitions;
  }

  get current(): Snapshot {
    return this.#current;
  }

  replace(snapshot: Snapshot): void {
    this.#current = snapshot;
  }

  adoptPolicy(policy: number): void {
    this.#current = { ...this.#current, policy };
  }

  source(name: string): Source | undefined {
    return this.#current.sources.get(name);
  }

  caller(name: string): CallerConfiguration | undefined {
    return this.#current.callers.get(name);
  }

  /**
   * The version under which this address may be written to; `undefined` where the source is another one by now. A flight
   * that began before a reload must not write with the right of the new configuration what the old one made.
   */
  policyFor(address: SlotAddress): number | undefined {
    return this.source(address.source)?.recipe === address.recipe ? this.#current.policy : undefined;
  }

  /** What the caller may ask of the source; `undefined`: nothing. */
  grant(caller: string, source: string): SourceGrant | undefined {
    const grants = this.#current.callers.get(caller)?.grants;
    return grants?.get(source) ?? grants?.get('*');
  }

  address(source: Source, parameters: TokenParameters): SlotAddress {
    const { name, provider } = source.configuration;
    const slot = slotOf(name, parameters);
    return this.addressOfSlot(source, slot, name, provider);
  }

  /** The address of a slot that is known by its name alone. */
  addressOfSlot(
    source: Source,
    slot: string,
    name = source.configuration.name,
    provider: string = source.configuration.provider,
  ): SlotAddress {
    return { slot, partition: partitionOf(slot, this.#partitions), source: name, provider, recipe: source.recipe };
  }
}

/** Everything of a source that can change its tokens, in an order that never changes. */
export function recipeOfSource(recipeKey: Uint8Array, source: SourceConfiguration): string {
  return recipeOf(recipeKey, [
    source.provider,
    source.grant,
    source.endpoint.kind === 'issuer'
      ? ['issuer', source.endpoint.issuer]
      : ['token-endpoint', source.endpoint.tokenEndpoint],
    source.clientId,
    source.clientSecret.reveal(),
    source.clientAuthentication,
    source.scopes,
    source.audience ?? null,
    source.resource ?? null,
    [...source.parameters].sort(([a], [b]) => (a < b ? -1 : 1)),
    source.ca ?? null,
    source.allowInsecureHttp,
    source.acceptNarrowerScope,
  ]);
}

/** The fingerprint that replicas with the same sources and callers share. */
export function fingerprintOf(recipeKey: Uint8Array, configuration: Configuration): string {
  return configurationFingerprint(recipeKey, [
    [...configuration.sources.values()].map((source) => [source.name, recipeOfSource(recipeKey, source)]).sort(byName),
    [...configuration.callers.values()]
      .map((caller) => [
        caller.name,
        caller.admin,
        [...caller.grants].map(([name, grant]) => [name, grant.scopes, grant.audiences]).sort(byName),
      ])
      .sort(byName),
  ]);
}

function byName(a: readonly unknown[], b: readonly unknown[]): number {
  return String(a[0]) < String(b[0]) ? -1 : 1;
}
