import { err, ok, type Random, type Result } from '@token-broker/foundation';
import type { Channel } from '@token-broker/protocol';
import {
  decodeRecord,
  encodeRecord,
  sealAdditionalData,
  type RecordContent,
  type SealBinding,
} from '../../domain/record.js';
import type { Keyring, UnsealFailure } from './keyring.js';
import type { Hit, ScannedRecord, SlotAddress, StoredChannel, StoredRecord } from '../ports/store.js';

const CHANNEL_KEY_BYTES = 32;

type Opened = Result<RecordContent, UnsealFailure>;

/** Seals records and channel keys for the store, and opens what the store returns. */
export class RecordCodec {
  readonly #keyring: Keyring;
  readonly #random: Random;
  readonly #namespace: string;

  constructor(keyring: Keyring, random: Random, namespace: string) {
    this.#keyring = keyring;
    this.#random = random;
    this.#namespace = namespace;
  }

  /** Id of the key that seals now. */
  get sealsBy(): string {
    return this.#keyring.sealsBy;
  }

  seal(address: SlotAddress, epoch: number, generation: number, content: RecordContent): Uint8Array {
    return this.#keyring.seal(encodeRecord(content), this.#bind(address, epoch, generation, 'record'));
  }

  open(address: SlotAddress, { record, asOf }: Hit): Opened {
    return this.#open(address, record, asOf.epoch);
  }

  /** Opens a record that a scan has found, of whatever recipe it is. */
  openScanned(scanned: ScannedRecord & Pick<SlotAddress, 'slot' | 'partition'>, epoch: number): Opened {
    return this.#open(scanned, scanned, epoch);
  }

  #open(address: SlotAddress, record: StoredRecord, epoch: number): Opened {
    const opened = this.#keyring.open(record.sealed, this.#bind(address, epoch, record.generation, 'record'));
    if (!opened.ok) return opened;
    const content = decodeRecord(opened.value);
    // A record whose expiry was changed would be handed out after its end, or never.
    return content?.expiresAtMs === record.expiresAtMs ? ok(content) : err('corrupt');
  }

  /** A fresh channel key, sealed as the one of this generation. */
  newChannel(address: SlotAddress, epoch: number, generation: number): Uint8Array {
    return this.#keyring.seal(this.#random.bytes(CHANNEL_KEY_BYTES), this.#bind(address, epoch, generation, 'channel'));
  }

  /** A channel that does not open is none: near caches then ask instead of being told. */
  openChannel(address: SlotAddress, epoch: number, channel: StoredChannel | undefined): Channel | undefined {
    if (channel === undefined) return undefined;
    const opened = this.#keyring.open(channel.sealed, this.#bind(address, epoch, channel.version, 'channel'));
    if (!opened.ok || opened.value.length !== CHANNEL_KEY_BYTES) return undefined;
    return { version: channel.version, key: Buffer.from(opened.value).toString('base64url') };
  }

  #bind(address: SlotAddress, epoch: number, generation: number, field: SealBinding['field']): Uint8Array {
    const { slot } = address;
    // A channel belongs to the slot alone: it outlives the recipe, and dies with the epoch, the floor and the policy.
    const recipe = field === 'channel' ? '' : address.recipe;
    return sealAdditionalData({ namespace: this.#namespace, slot, recipe, epoch, generation, field });
  }
}
