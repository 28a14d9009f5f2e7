import { partitionOf, slotOf } from '@token-broker/protocol';
import { Redis } from 'ioredis';
import type { Stack } from '../../integration/stack.js';

/** Of the stack's configuration. */
const NAMESPACE = 'test';
const PARTITIONS = 16;

/** What Redis holds of the one slot of a source without parameters. */
export interface StoredSlot {
  readonly recordKey: string;
  /** The fields of the record, byte for byte as text; none where there is no record. */
  record(): Promise<Readonly<Partial<Record<string, string>>>>;
  /** The floor of the slot: generations at or below it are revoked. 0: there was no revocation. */
  floor(): Promise<number>;
  /** The cutoff of the slot's source: the same for all of its slots. 0: there was none. */
  cutoff(): Promise<number>;
  /** Looks at the record without a pause until it is stopped; then gives every generation whose token was there. */
  watch(): { stop(): Promise<ReadonlySet<number>> };
  /** Keys of the slot, without their common prefix and the slot. */
  kinds(): Promise<string[]>;
  close(): void;
}

/** The fields without which a record is not whole. */
export const RECORD_FIELDS = [
  'attempt',
  'epoch',
  'expiresAt',
  'generation',
  'hash',
  'recipe',
  'sealed',
  'source',
  'usableUntil',
];

export function lookIntoRedis(stack: Stack, source: string): StoredSlot {
  const redis = new Redis({ host: stack.redis.host, port: stack.redis.port });
  const slot = slotOf(source, {});
  const prefix = `{${NAMESPACE}:${String(partitionOf(slot, PARTITIONS))}}:`;
  const recordKey = `${prefix}record:${slot}`;
  const stored: StoredSlot = {
    recordKey,
    async record() {
      const pairs = (await redis.callBuffer('HGETALL', recordKey)) as Buffer[];
      const texts = pairs.map((value) => value.toString('latin1'));
      return Object.fromEntries(
        texts.flatMap((text, index) => (index % 2 === 0 ? [[text, texts[index + 1] ?? '']] : [])),
      );
    },
    async floor() {
      return Number(await redis.get(`${prefix}floor:${slot}`));
    },
    async cutoff() {
      return Number(await redis.hget(`${prefix}meta`, `cutoff:source:${source}`));
    },
    watch() {
      const seen = new Set<number>();
      let stopped = false;
      const look = async (): Promise<void> => {
        while (!stopped && redis.status !== 'end') {
          const { generation, sealed } = await stored.record();
          if (sealed !== undefined) seen.add(Number(generation));
        }
      };
      const looking = look();
      looking.catch(() => undefined);
      return {
        async stop() {
          stopped = true;
          await looking;
          return seen;
        },
      };
    },
    async kinds() {
      const keys = await redis.keys(`${prefix.replace('{', '\\{')}*:${slot}*`);
      return keys.map((key) => key.slice(prefix.length).replace(`:${slot}`, '')).sort();
    },
    close() {
      redis.disconnect();
    },
  };
  return stored;
}
