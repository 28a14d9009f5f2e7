import type {
  CallerConfiguration,
  QuotaLimit,
  SourceConfiguration,
  SourceGrant,
  SourceTraits,
} from '@token-broker/configuration';
import { partitionOf, slotOf, type TokenParameters } from '@token-broker/protocol';
import type { Provider } from '../ports/provider.js';
import type { SlotAddress } from '../ports/store.js';
import type { SourceFingerprints } from './source-fingerprints.js';

/** A source as it runs: its configuration, its way to the identity provider, its recipe. */
export interface Source extends SourceFingerprints {
  readonly configuration: SourceConfiguration;
  readonly provider: Provider;
  readonly traits: SourceTraits;
  /** Of the upstream identity: what any source of it states. */
  readonly quota: readonly QuotaLimit[];
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
  /** Most requests ask for nothing but a source's name. */
  readonly #plain = new WeakMap<Source, SlotAddress>();
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
    const isPlain = Object.values(parameters).every((parameter) => parameter === undefined);
    const known = isPlain ? this.#plain.get(source) : undefined;
    if (known !== undefined) return known;
    const address = this.addressOfSlot(source, slotOf(source.configuration.name, parameters));
    if (isPlain) this.#plain.set(source, address);
    return address;
  }

  /** The address of a slot that is known by its name alone. */
  addressOfSlot(source: Source, slot: string): SlotAddress {
    const { name, provider } = source.configuration;
    return { slot, partition: partitionOf(slot, this.#partitions), source: name, provider, recipe: source.recipe };
  }
}
