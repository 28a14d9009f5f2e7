import type { Clock } from '@token-broker/foundation';
import type { SlotAddress } from '../../app/ports/store.js';
import type { Keys } from './keys.js';
import { parseReply, type Reply } from './replies.js';
import type { ScriptName, Scripts } from './scripts.js';

type Argument = string | number | Uint8Array;

/** Runs scripts on one partition: with the keys that all of them take, and with what this broker has seen there. */
export class PartitionScripts {
  readonly #scripts: Scripts;
  readonly #keys: Keys;
  readonly #clock: Clock;
  /** The greatest epoch and generation seen, by partition: a new epoch begins above them. */
  readonly #highest: { epoch: number; generation: number }[];

  constructor(scripts: Scripts, keys: Keys, clock: Clock, partitions: number) {
    this.#scripts = scripts;
    this.#keys = keys;
    this.#clock = clock;
    this.#highest = Array.from({ length: partitions }, () => ({ epoch: 0, generation: 0 }));
  }

  get partitions(): number[] {
    return this.#highest.map((_, partition) => partition);
  }

  async run(name: ScriptName, partition: number, keys: readonly string[], args: readonly Argument[]): Promise<Reply> {
    const { meta, log, brokers } = this.#keys.partition(partition);
    const highest = this.#highest[partition] ?? { epoch: 0, generation: 0 };
    const sentAtMs = this.#clock.elapsedMs();
    const values = await this.#scripts.run(
      name,
      [meta, log, brokers, ...keys],
      [highest.epoch, highest.generation, ...args],
    );
    const reply = parseReply(values, sentAtMs);
    this.note(partition, reply.asOf.epoch, 0);
    return reply;
  }

  /** A script of one slot. */
  runOn(
    address: SlotAddress,
    name: ScriptName,
    policy: number,
    args: readonly Argument[],
    moreKeys: readonly string[] = [],
  ): Promise<Reply> {
    const { slot, partition, source, provider, recipe } = address;
    const keys = this.#keys.slot(partition, slot);
    const { slots } = this.#keys.partition(partition);
    return this.run(
      name,
      partition,
      [keys.record, keys.floor, keys.flight, keys.channel, slots, ...moreKeys],
      [source, provider, recipe, slot, policy, ...args],
    );
  }

  note(partition: number, epoch: number, generation: number): void {
    const highest = this.#highest[partition];
    if (highest === undefined) return;
    highest.epoch = Math.max(highest.epoch, epoch);
    highest.generation = Math.max(highest.generation, generation);
  }
}
