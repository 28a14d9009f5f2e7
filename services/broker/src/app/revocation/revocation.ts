import { delay, randomId, type Clock, type Random } from '@token-broker/foundation';
import { partitionOf, type Invalidation, type RevokeReply } from '@token-broker/protocol';
import type { Acknowledgements, Collector } from '../cluster/acknowledgements.js';
import { changeOf } from '../memory/invalidations.js';
import type { Memory } from '../memory/memory.js';
import type { InvalidationTarget, Presence, RevokeReply as StoreReply, Store } from '../ports/store.js';
import type { Log, Metrics } from '../ports/telemetry.js';
import type { Publisher } from '../cluster/publisher.js';
import type { Sources } from '../sources/sources.js';

export interface RevocationPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly store: Store;
  readonly memory: Memory;
  readonly publisher: Publisher;
  readonly sources: Sources;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly broker: string;
  readonly leaseMs: number;
  readonly durableReplicas: number;
  /** Without replicas, a write is durable only when Redis syncs each one to disk. */
  readonly fsyncAlways: () => boolean;
  readonly peers: Acknowledgements;
  readonly nearCaches: Acknowledgements;
}

export interface RevocationOrder {
  readonly target: InvalidationTarget;
  /** Who wants it, for the audit. */
  readonly by: string;
  readonly reason: string;
  /** Wait for near caches, at most so long. */
  readonly waitMs?: number;
  /** The same id is the same revocation: replicas that apply one reload make one cutoff. */
  readonly id?: string;
  /** The configuration version that revokes: brokers with an older one must not write to the source any more. */
  readonly policy?: number;
}

export type RevocationResult = Omit<RevokeReply, 'v' | 'slots' | 'dryRun'>;

/** The epoch may change under a revocation; then it is made again in the new one. */
const TRIES = 3;

/**
 * Revokes, and returns only when no broker answers with what was revoked: Redis has it, every broker with a lease has
 * confirmed or its lease has run out, and it still stands after that. Redis away at any step rejects with a `StoreError`:
 * then nothing is promised.
 */
export async function revoke(ports: RevocationPorts, order: RevocationOrder): Promise<RevocationResult> {
  const { clock, store, random, log, metrics, nearCaches } = ports;
  const startedAtMs = clock.elapsedMs();
  const id = order.id ?? randomId(random);
  log.audit('revocation: ordered', { id, target: describe(order.target), by: order.by, reason: order.reason });
  let attempt: Attempt | undefined;
  let receipts: Collector | undefined;
  try {
    const present = await store.presences();
    for (let tries = 1; attempt?.stands !== true && tries <= TRIES; tries++) {
      const messageId = tries === 1 ? id : `${id}-${String(tries)}`;
      receipts?.close();
      receipts = nearCaches.expect(messageId);
      attempt = await attemptOnce(ports, order, id, messageId);
    }
    if (attempt === undefined) throw new Error('a revocation was never tried');
    const result: RevocationResult = {
      id,
      nearCaches: present.length,
      durable: isDurable(ports, attempt.replies),
      broadcast: attempt.broadcast,
      complete: attempt.stands,
      brokers: attempt.brokers,
      ...(order.waitMs === undefined ? {} : { receipts: await collect(present, receipts, order.waitMs) }),
      tookMs: clock.elapsedMs() - startedAtMs,
    };
    metrics.revocationConfirmed('near-cache', {
      afterMs: [...(receipts?.confirmed.values() ?? [])],
      // Whoever does not wait expects none.
      expected: result.receipts?.expected ?? 0,
      stragglers: result.receipts?.stragglers.length ?? 0,
    });
    metrics.revocationDone(kindOf(order.target), result.complete ? 'complete' : 'incomplete', result.tookMs);
    log.audit('revocation: done', {
      id,
      complete: result.complete,
      durable: result.durable,
      broadcast: result.broadcast,
    });
    return result;
  } catch (error) {
    metrics.revocationDone(kindOf(order.target), 'failed', clock.elapsedMs() - startedAtMs);
    log.audit('revocation: failed, nothing is promised', { id, reason: error instanceof Error ? error.message : '' });
    throw error;
  } finally {
    receipts?.close();
  }
}

interface Attempt {
  readonly replies: readonly StoreReply[];
  readonly broadcast: boolean;
  readonly brokers: RevokeReply['brokers'];
  readonly stands: boolean;
}

async function attemptOnce(
  ports: RevocationPorts,
  order: RevocationOrder,
  id: string,
  messageId: string,
): Promise<Attempt> {
  const { clock, store, memory, publisher, peers, leaseMs, broker } = ports;
  const { target } = order;
  const acks = peers.expect(messageId);
  try {
    const replies = await Promise.all(
      partitionsOf(target, memory.views.length).map((partition) => store.revoke(target, partition, id, order.policy)),
    );
    const revokedAtMs = clock.elapsedMs();
    for (const { partition, asOf, vseq, floor } of replies)
      memory.apply(partition, asOf.epoch, { vseq, floor, target });
    const left = publisher.invalidation(messageOf(ports, target, messageId, replies));
    // What has left this process may be lost in a link that is dead and has not been found out.
    const taken = left ? publisher.taken(leaseMs) : Promise.resolve(false);
    const others = [...new Set(replies.flatMap((reply) => reply.brokers))].filter((name) => name !== broker);
    // A lease that was asked for before the revocation has run out by then; one asked for after it has seen it.
    await acks.waitFor(others, leaseMs);
    // A broker may still hold a lease of the epoch before: it does not know of this one until that has run out. The epoch
    // seems to begin in the future where the clock of Redis has jumped back; longer than a lease nothing takes.
    const sinceEpochMs = Math.min(...replies.map(({ epochBeganMs, asOf }) => asOf.redisMs - epochBeganMs));
    const settleMs = revokedAtMs + leaseMs - Math.max(0, sinceEpochMs) - clock.elapsedMs();
    if (settleMs > 0) await delay(clock, settleMs);
    const confirmed = await Promise.all(
      replies.map(({ partition, asOf, floor }) => store.confirm(target, partition, asOf.epoch, floor)),
    );
    const acked = others.filter((name) => acks.confirmed.has(name)).length;
    ports.metrics.revocationConfirmed('broker', {
      afterMs: [...acks.confirmed.values()],
      expected: others.length,
      stragglers: others.length - acked,
    });
    return {
      replies,
      broadcast: await taken,
      brokers: { expected: others.length + 1, acked: acked + 1 },
      stands: confirmed.every(Boolean),
    };
  } finally {
    acks.close();
  }
}

function messageOf(
  ports: RevocationPorts,
  target: InvalidationTarget,
  id: string,
  replies: readonly StoreReply[],
): Invalidation {
  const changes = replies.map(({ partition, asOf, vseq, floor }) =>
    changeOf(partition, asOf.epoch, { vseq, floor, target }, ports.sources),
  );
  return { v: 1, id, changes, ackTo: ports.broker, receipts: true };
}

async function collect(
  present: readonly Presence[],
  receipts: Collector | undefined,
  waitMs: number,
): Promise<NonNullable<RevokeReply['receipts']>> {
  const expected = present.map(({ caller, instance }) => `${caller}/${instance}`);
  await receipts?.waitFor(expected, waitMs);
  const all = receipts?.confirmed ?? new Map<string, number>();
  return {
    expected: expected.length,
    confirmed: [...all].map(([who, afterMs]) => ({ ...nearCacheOf(who), afterMs })),
    stragglers: expected.filter((who) => !all.has(who)).map(nearCacheOf),
  };
}

function nearCacheOf(who: string): { caller: string; instance: string } {
  const [caller = '', instance = ''] = who.split('/');
  return { caller, instance };
}

function isDurable(ports: RevocationPorts, replies: readonly StoreReply[]): boolean {
  if (ports.durableReplicas === 0) return ports.fsyncAlways();
  return replies.every(({ replicas }) => replicas >= ports.durableReplicas);
}

function partitionsOf(target: InvalidationTarget, partitions: number): number[] {
  if (target.kind === 'slot') return [partitionOf(target.slot, partitions)];
  return Array.from({ length: partitions }, (_, partition) => partition);
}

function kindOf(target: InvalidationTarget): 'slot' | 'source' | 'all' {
  return target.kind === 'slot' || target.kind === 'source' ? target.kind : 'all';
}

function describe(target: InvalidationTarget): string {
  switch (target.kind) {
    case 'slot':
      return `slot ${target.slot}`;
    case 'source':
      return `source ${target.source}`;
    case 'provider':
      return `provider ${target.provider}`;
    case 'all':
      return 'everything';
  }
}
