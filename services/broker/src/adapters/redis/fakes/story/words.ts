import { Names } from '../../../../app/fakes/names.js';
import type {
  AsOf,
  Hit,
  InvalidationTarget,
  LeaseReply,
  SlotAddress,
  Store,
  StoredChannel,
} from '../../../../app/ports/store.js';
import { EVERY_PARTITION, text } from './cast.js';

interface OfPartition {
  readonly partition: number;
}

/** Tells replies in words that are the same in every world, where the numbers are not. */
export class Words {
  readonly #generations = EVERY_PARTITION.map(() => new Names());
  readonly #epochs = EVERY_PARTITION.map(() => new Names());
  readonly #policies = new Names();

  /** The order of all numbers that were told: of the generations and epochs of each partition, and of the policies. */
  get orders(): string[] {
    return [...this.#generations, ...this.#epochs, this.#policies].map(({ order }) => order);
  }

  generation({ partition }: OfPartition, value: number): string {
    return this.#generations[partition]?.of(value) ?? '?';
  }

  epoch({ partition }: OfPartition, value: number): string {
    return this.#epochs[partition]?.of(value) ?? '?';
  }

  policy(version: number): string {
    return this.#policies.of(version);
  }

  target(target: InvalidationTarget): string {
    return JSON.stringify(target);
  }

  asOf(of: OfPartition, asOf: AsOf | undefined): string {
    return `as of ${this.epoch(of, asOf?.epoch ?? -1)} ${String(asOf?.vseq)}`;
  }

  hit(of: SlotAddress, hit: Hit): string {
    const { generation, sealed } = hit.record;
    return `${this.generation(of, generation)} above ${this.generation(of, hit.floor)} ${text(sealed)} ${this.channel(of, hit)}`;
  }

  channel(of: OfPartition, { channel }: { readonly channel?: StoredChannel }): string {
    return channel === undefined ? 'no channel' : `${text(channel.sealed)} ${this.generation(of, channel.version)}`;
  }

  entries(reply: Pick<LeaseReply, 'partition' | 'entries'>): string {
    const { entries } = reply;
    if (entries === undefined) return 'reset';
    return entries
      .map((e) => `${String(e.vseq)} ${this.target(e.target)} ${this.generation(reply, e.floor)}`)
      .join(', ');
  }

  /** @param without a broker that is not told of */
  lease(reply: LeaseReply, without = ''): string {
    const brokers = reply.brokers.filter((broker) => broker !== without).sort();
    const paused = [...reply.paused.keys()].sort().join(',');
    return `${brokers.join(',')} ${paused} ${this.policy(reply.policy)} ${reply.policyFingerprint} ${this.entries(reply)}`;
  }

  /** Every slot that a scan finds something in, by its own order. */
  async scanned(store: Store): Promise<string[]> {
    const lines = new Set<string>();
    for (const partition of EVERY_PARTITION) {
      let cursor: string | undefined;
      do {
        const page = await store.scan(partition, cursor, true);
        for (const { slot, record, flight } of page.slots) {
          const token =
            record === undefined
              ? ''
              : `${record.source} ${record.recipe} ${this.generation({ partition }, record.generation)} ${text(record.sealed)}`;
          const inAir =
            flight === undefined
              ? ''
              : `${flight.source} ${this.generation({ partition }, flight.generation)} in the air`;
          lines.add(`${slot.slice(-1)} scanned ${token} ${inAir}`);
        }
        cursor = page.next;
      } while (cursor !== undefined);
    }
    return [...lines].sort();
  }
}
