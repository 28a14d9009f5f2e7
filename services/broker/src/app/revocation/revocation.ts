import { delay, randomId, type Clock, type Random } from '@token-broker/foundation';
import { LIMITS, partitionOf, type Invalidation, type RevokeReply } from '@token-broker/protocol';
import type { Acknowledgements, Collector } from '../cluster/acknowledgements.js';
import { changeOf } from '../memory/invalidations.js';
import type { Memory } from '../memory/memory.js';
import type { Audit } from '../ports/audit.js';
import type { InvalidationTarget, RevokeReply as StoreReply, Store } from '../ports/store.js';
import type { Log, Metrics, RevokedBy } from '../ports/telemetry.js';
import type { Publisher } from '../cluster/publisher.js';
import { inTurns } from './in-turns.js';
import { collectReceipts, confirmedByAll } from './receipts.js';
import type { Ended, RevocationOrder, RevocationResult, RevocationTarget } from './revocation-order.js';
import { endedRecord, failedRecord, orderedRecord } from './revocation-records.js';
import type { Sources } from '../sources/sources.js';

export interface RevocationPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly store: Store;
  readonly memory: Memory;
  readonly publisher: Publisher;
  readonly sources: Sources;
  readonly log: Log;
  readonly audit: Audit;
  readonly metrics: Metrics;
  readonly broker: string;
  readonly leaseMs: number;
  /** A near cache that is cut off serves nothing for longer than this. */
  readonly maxStalenessMs: number;
  readonly durableReplicas: number;
  /** Without replicas, a write is durable only when Redis syncs each one to disk. */
  readonly fsyncAlways: () => boolean;
  readonly peers: Acknowledgements;
  readonly nearCaches: Acknowledgements;
}

/** The epoch may change under a revocation; then it is made again in the new one. */
const TRIES = 3;
/** Commands to Redis under way at once, for an order with many targets. */
const COMMANDS_AT_ONCE = 64;

/**
 * Revokes, and returns only when no broker answers with what was revoked: Redis has it, every broker with a lease has
 * confirmed or its lease has run out, and it still stands after that. Redis away at any step rejects with a `StoreError`:
 * then nothing is promised. The audit trail has the order before Redis does, and the result before this returns; where it
 * cannot be written, a leaked token is worse than a missing record: it is revoked all the same, and `audited` is false.
 */
export async function revoke(ports: RevocationPorts, order: RevocationOrder): Promise<RevocationResult> {
  const { clock, store, random, audit, metrics, maxStalenessMs } = ports;
  const startedAtMs = clock.elapsedMs();
  const id = order.id ?? randomId(random);
  const isOrderAudited = await audit.write(orderedRecord(order, id));
  order.span?.set({ revocation: id });
  order.span?.event('ordered', { audited: isOrderAudited });
  let attempt: Attempt | undefined;
  try {
    // Asked first, so that nobody is missed who was there, and waited for last: what it needs of Redis must not keep a token alive.
    const presences = settled(store.presences());
    for (let tries = 1; attempt?.stands !== true && tries <= TRIES; tries++) {
      close(attempt?.receipts);
      attempt = await attemptOnce(ports, order, id, tries === 1 ? id : `${id}-${String(tries)}`);
    }
    if (attempt === undefined) throw new Error('a revocation was never tried');
    const present = await presences();
    const { waitMs } = order;
    const result: Omit<RevocationResult, 'audited' | 'ended'> = {
      id,
      nearCaches: present.length,
      durable: isDurable(ports, attempt.replies),
      broadcast: attempt.broadcast,
      complete: attempt.stands,
      brokers: attempt.brokers,
      ...(waitMs === undefined
        ? {}
        : { receipts: await collectReceipts(present, attempt.receipts, { waitMs, maxStalenessMs }) }),
      tookMs: clock.elapsedMs() - startedAtMs,
    };
    metrics.revocationConfirmed('near-cache', {
      afterMs: [...confirmedByAll(attempt.receipts).values()],
      // Whoever does not wait expects none.
      expected: result.receipts?.expected ?? 0,
      stragglers: result.receipts?.counts?.stragglers ?? 0,
    });
    metrics.revocationDone(kindOf(order), result.complete ? 'complete' : 'incomplete', result.tookMs);
    const isResultAudited = await audit.write(endedRecord(order, result, attempt.replies[0]?.floor));
    return { ...result, ended: attempt.ended, audited: isOrderAudited && isResultAudited };
  } catch (error) {
    metrics.revocationDone(kindOf(order), 'failed', clock.elapsedMs() - startedAtMs);
    await audit.write(failedRecord(order, id, error));
    throw error;
  } finally {
    close(attempt?.receipts);
  }
}

interface Attempt {
  readonly replies: readonly StoreReply[];
  readonly ended: readonly Ended[];
  readonly broadcast: boolean;
  readonly brokers: RevokeReply['brokers'];
  readonly stands: boolean;
  /** Of each message. To be closed. */
  readonly receipts: readonly Collector[];
}

/** One target in one partition. */
interface Write extends RevocationTarget {
  readonly partition: number;
  /** Of this write alone: sent again, it is the same. */
  readonly id: string;
}

interface Written {
  readonly write: Write;
  readonly reply: StoreReply;
}

async function attemptOnce(
  ports: RevocationPorts,
  order: RevocationOrder,
  id: string,
  messageId: string,
): Promise<Attempt> {
  const { clock, store, memory, publisher, peers, nearCaches, leaseMs, broker } = ports;
  const batches = inBatches(writesOf(order, id, memory.views.length), LIMITS.changesPerInvalidation);
  const ids = batches.map((_, index) => (batches.length === 1 ? messageId : `${messageId}.${String(index + 1)}`));
  const acks = ids.map((name) => peers.expect(name));
  const receipts = ids.map((name) => nearCaches.expect(name));
  let isKept = false;
  try {
    const written: Written[] = [];
    let left = true;
    for (const [index, batch] of batches.entries()) {
      const done = inOrder(
        await inTurns(batch, COMMANDS_AT_ONCE, async (write): Promise<Written> => {
          const { target, partition, upTo } = write;
          return { write, reply: await store.revoke(target, partition, write.id, order.policy, upTo) };
        }),
      );
      for (const { write, reply } of done)
        memory.apply(reply.partition, reply.asOf.epoch, {
          vseq: reply.vseq,
          floor: reply.floor,
          target: write.target,
        });
      left = publisher.invalidation(messageOf(ports, ids[index] ?? messageId, done)) && left;
      written.push(...done);
    }
    const replies = written.map(({ reply }) => reply);
    const revokedAtMs = clock.elapsedMs();
    order.span?.event('written', { targets: order.targets.length, writes: written.length });
    // What has left this process may be lost in a link that is dead and has not been found out.
    const taken = left ? publisher.taken(leaseMs) : Promise.resolve(false);
    const others = [...new Set(replies.flatMap((reply) => reply.brokers))].filter((name) => name !== broker);
    // A lease that was asked for before the revocation has run out by then; one asked for after it has seen it.
    await Promise.all(acks.map((collector) => collector.waitFor(others, leaseMs)));
    // A broker may still hold a lease of the epoch before: it does not know of this one until that has run out. The epoch
    // seems to begin in the future where the clock of Redis has jumped back; longer than a lease nothing takes.
    const sinceEpochMs = Math.min(...replies.map(({ epochBeganMs, asOf }) => asOf.redisMs - epochBeganMs));
    const settleMs = revokedAtMs + leaseMs - Math.max(0, sinceEpochMs) - clock.elapsedMs();
    if (settleMs > 0) await delay(clock, settleMs);
    const confirmed = await inTurns(written, COMMANDS_AT_ONCE, ({ write, reply }) =>
      store.confirm(write.target, reply.partition, reply.asOf.epoch, reply.floor),
    );
    const ackedBy = confirmedByAll(acks);
    const acked = others.filter((name) => ackedBy.has(name)).length;
    ports.metrics.revocationConfirmed('broker', {
      afterMs: [...ackedBy.values()],
      expected: others.length,
      stragglers: others.length - acked,
    });
    order.span?.event('confirmed', { brokers: others.length, brokers_confirmed: acked });
    const attempt = {
      replies,
      ended: written.map(({ write: { target }, reply: { partition, floor, replaced } }) => ({
        ...{ target, partition, floor, replaced },
      })),
      broadcast: await taken,
      brokers: { expected: others.length + 1, acked: acked + 1 },
      stands: confirmed.every(Boolean),
      receipts,
    };
    isKept = true;
    return attempt;
  } finally {
    close(acks);
    if (!isKept) close(receipts);
  }
}

/** To be waited for later: until then a failure is nobody's. */
function settled<T>(promise: Promise<T>): () => Promise<T> {
  promise.catch(() => undefined);
  return () => promise;
}

function close(collectors: readonly Collector[] = []): void {
  for (const collector of collectors) collector.close();
}

function writesOf({ targets }: RevocationOrder, id: string, partitions: number): Write[] {
  return targets.flatMap((of, index) =>
    partitionsOf(of.target, partitions).map((partition) => ({
      ...of,
      partition,
      id: targets.length === 1 ? id : `${id}.${String(index + 1)}`,
    })),
  );
}

function inBatches<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}

/** In the order of each partition's invalidations: whoever hears them in another one takes it for a gap. */
function inOrder(written: readonly Written[]): Written[] {
  return written.toSorted((a, b) => a.reply.partition - b.reply.partition || a.reply.vseq - b.reply.vseq);
}

function messageOf(ports: RevocationPorts, id: string, written: readonly Written[]): Invalidation {
  const changes = written.map(({ write: { target }, reply: { partition, asOf, vseq, floor } }) =>
    changeOf(partition, asOf.epoch, { vseq, floor, target }, ports.sources),
  );
  return { v: 1, id, changes, ackTo: ports.broker, receipts: true };
}

function isDurable(ports: RevocationPorts, replies: readonly StoreReply[]): boolean {
  if (ports.durableReplicas === 0) return ports.fsyncAlways();
  return replies.every(({ replicas }) => replicas >= ports.durableReplicas);
}

function partitionsOf(target: InvalidationTarget, partitions: number): number[] {
  if (target.kind === 'slot') return [partitionOf(target.slot, partitions)];
  return Array.from({ length: partitions }, (_, partition) => partition);
}

function kindOf({ targets: [first], selectedBy }: RevocationOrder): RevokedBy {
  return selectedBy ?? first?.target.kind ?? 'all';
}
