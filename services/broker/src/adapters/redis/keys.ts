/** Names of the keys. All keys of a partition carry one hash tag, so that a Cluster keeps them on one node. */
export interface PartitionKeys {
  readonly meta: string;
  readonly log: string;
  readonly brokers: string;
  readonly slots: string;
}

export interface SlotKeys {
  readonly record: string;
  readonly floor: string;
  readonly flight: string;
  readonly channel: string;
  readonly rejected: string;
}

export interface JournalKeys {
  readonly journal: string;
  readonly seeds: string;
}

export interface Keys {
  partition(partition: number): PartitionKeys;
  slot(partition: number, slot: string): SlotKeys;
  /** Prefix of the keys of one kind in a partition, for scripts that go over many slots. */
  prefix(partition: number, kind: 'record' | 'floor' | 'flight'): string;
  revocation(partition: number, id: string): string;
  lock(partition: number, name: string): string;
  /** A source's refresh tokens at one upstream. */
  journal(source: string, upstream: string): JournalKeys;
  /** The budget of an upstream, and of one credential there: the keys of its scripts, in their order. */
  budget(upstream: string, credential: string): readonly string[];
  readonly nearCaches: string;
  readonly recipes: string;
  secret(name: string): string;
}

export function createKeys(namespace: string): Keys {
  const tag = (partition: number): string => `{${namespace}:${String(partition)}}`;
  return {
    partition(partition) {
      const root = tag(partition);
      return { meta: `${root}:meta`, log: `${root}:log`, brokers: `${root}:brokers`, slots: `${root}:slots` };
    },
    slot(partition, slot) {
      const root = tag(partition);
      return {
        record: `${root}:record:${slot}`,
        floor: `${root}:floor:${slot}`,
        flight: `${root}:flight:${slot}`,
        channel: `${root}:channel:${slot}`,
        rejected: `${root}:rejected:${slot}`,
      };
    },
    prefix: (partition, kind) => `${tag(partition)}:${kind}:`,
    revocation: (partition, id) => `${tag(partition)}:revocation:${id}`,
    lock: (partition, name) => `${tag(partition)}:lock:${name}`,
    journal(source, upstream) {
      const root = `{${namespace}:journal:${source}}:${upstream}`;
      return { journal: root, seeds: `${root}:seeds` };
    },
    budget(upstream, credential) {
      const root = `{${namespace}:upstream:${upstream}}`;
      const names = ['state', 'calls', 'open', 'ended', 'common', 'reserve', 'calendar', `credential:${credential}`];
      return names.map((name) => `${root}:${name}`);
    },
    nearCaches: `{${namespace}}:near-caches`,
    recipes: `{${namespace}}:recipes`,
    secret: (name) => `{${namespace}}:secret:${name}`,
  };
}
