import type { ErrorCode } from '@token-broker/protocol';
import type {
  AsOf,
  CommitReply,
  CommitRequest,
  Failed,
  FailRequest,
  Hit,
  InvalidationTarget,
  ListedSlot,
  ReadReply,
  ReserveReply,
  ReserveRequest,
  RevokeReply,
  SlotAddress,
  Store,
  StoredChannel,
} from '../ports/store.js';
import type { FakeFlight, FakePartition, FakeSlot } from './fake-redis.js';

const MAX_FLIGHT_US = 900 * 1_000_000;

/** One script: the partition, the time, and as of when the answer is true (read after the script has changed it). */
export interface Script {
  readonly partition: FakePartition;
  readonly nowMs: number;
  readonly asOf: () => AsOf;
  /** Replicas that have every write. */
  readonly replicas: number;
}

export function read(script: Script, address: SlotAddress, policy: number): ReadReply {
  const slot = script.partition.slot(address.slot);
  if (isLive(script, slot, address)) return hit(script, slot, address, policy);
  const failed = failedOf(script, remembered(slot, script.nowMs), address);
  if (failed !== undefined) return failed;
  return { kind: 'miss', asOf: script.asOf(), floor: script.partition.floorOf(address) };
}

/** The failure of the last call of this recipe, while its pause lasts. */
function failedOf(script: Script, flight: FakeFlight | undefined, address: SlotAddress): Failed | undefined {
  if (flight?.failed === undefined || flight.recipe !== address.recipe || flight.untilMs <= script.nowMs)
    return undefined;
  const { code, message } = flight.failed;
  return {
    kind: 'failed',
    asOf: script.asOf(),
    code: code as ErrorCode,
    message,
    remainingMs: flight.untilMs - script.nowMs,
  };
}

export function reserve(script: Script, request: ReserveRequest): ReserveReply {
  const { address, wantGreaterThan, attempt, callMs, policy } = request;
  const { partition, nowMs } = script;
  const slot = partition.slot(address.slot);
  const floor = partition.floorOf(address);
  if (isOutdated(partition, address, policy)) return { kind: 'policy', asOf: script.asOf() };
  if (isLive(script, slot, address) && (slot.record?.generation ?? 0) > wantGreaterThan)
    return hit(script, slot, address, policy);
  if (partition.paused.has(address.source)) return { kind: 'paused', asOf: script.asOf() };
  if (floor !== request.floor) return { kind: 'relock', asOf: script.asOf(), floor };

  const flight = remembered(slot, nowMs);
  const isOfNow = flight?.epoch === partition.epoch && flight.generation > floor;
  const isMine = flight?.attempt === attempt && isOfNow;
  const failed = failedOf(script, flight, address);
  if (failed !== undefined) return failed;
  if (flight?.recipe === address.recipe && flight.untilMs > nowMs && !isMine && isOfNow) {
    return { kind: 'busy', asOf: script.asOf(), remainingMs: flight.untilMs - nowMs };
  }
  const record = unexpired(slot, nowMs);
  const isRefetch = record !== undefined && record.generation <= floor;
  if (isMine && flight.failed === undefined)
    return { kind: 'go', asOf: script.asOf(), generation: flight.generation, isRefetch };

  const failures = flight?.recipe === address.recipe ? flight.failures : 0;
  const generation = partition.nextGeneration(nowMs);
  slot.flight = {
    attempt,
    generation,
    untilMs: nowMs + callMs,
    epoch: partition.epoch,
    recipe: address.recipe,
    source: address.source,
    provider: address.provider,
    failures,
    failed: undefined,
    forgottenAtMs: nowMs + callMs + 60_000,
  };
  return { kind: 'go', asOf: script.asOf(), generation, isRefetch };
}

export function commit(script: Script, request: CommitRequest): CommitReply {
  const { address, attempt, generation, expiresAtMs, usableUntilMs, sealed, policy } = request;
  const { partition, nowMs } = script;
  const era = request.isConfigured === true ? `:${String(partition.changed.get(address.source) ?? 0)}` : '';
  const tokenHash = `${request.tokenHash}${era}`;
  const slot = partition.slot(address.slot);
  const floor = partition.floorOf(address);
  const refused = (kind: Exclude<CommitReply['kind'], 'ok'>): CommitReply => ({ kind, asOf: script.asOf() });
  const committed = (of: number): CommitReply => {
    const channel = channelOf(partition, slot, floor, policy);
    return { kind: 'ok', asOf: script.asOf(), generation: of, ...(channel === undefined ? {} : { channel }) };
  };
  const record = unexpired(slot, nowMs);
  const keptUntilMs = Math.max(expiresAtMs, record?.forgottenAtMs ?? 0);
  if (request.epoch !== partition.epoch) return refused('epoch');
  const isDead =
    record !== undefined &&
    (record.generation < floor || (!record.rejected && (record.sealed === undefined || record.generation === floor)));
  if (generation <= floor) {
    if (!isUsable(script, slot, address)) {
      const deadHash = record?.tokenHash === tokenHash ? record.deadHash : (record?.tokenHash ?? record?.deadHash);
      const { epoch } = partition;
      slot.record = {
        ...{ generation, epoch, expiresAtMs, usableUntilMs: 0, recipe: '', sealed: undefined, attempt: '' },
        ...{ tokenHash, deadHash, forgottenAtMs: keptUntilMs, rejected: false, source: '', provider: '', ended: 0 },
      };
    } else if (record?.tokenHash === tokenHash) return refused('lost');
    else if (record !== undefined) slot.record = { ...record, deadHash: tokenHash, forgottenAtMs: keptUntilMs };
    return refused('dead');
  }
  if (record?.attempt === attempt && record.epoch === partition.epoch) return committed(record.generation);
  if (isOutdated(partition, address, policy)) return refused('policy');
  if (record?.epoch === partition.epoch && record.generation >= generation) return refused('lost');
  if (usableUntilMs <= nowMs || nowMs * 1_000 - generation > MAX_FLIGHT_US) return refused('expired');
  if (record !== undefined && (record.deadHash === tokenHash || (isDead && record.tokenHash === tokenHash)))
    return refused('replayed');

  const { recipe, source, provider } = address;
  const { epoch } = partition;
  const isGone = isDead || (record?.rejected === true && record.tokenHash !== tokenHash);
  const deadHash = isGone ? record.tokenHash : record?.deadHash;
  const hasEnded = isDead && record.sealed !== undefined && record.epoch === epoch && record.expiresAtMs > nowMs;
  const token = {
    generation,
    epoch,
    ended: hasEnded ? record.generation : 0,
    expiresAtMs,
    usableUntilMs,
    sealed,
    attempt,
    tokenHash,
    deadHash,
    forgottenAtMs: (deadHash ?? '') === '' ? expiresAtMs : keptUntilMs,
    rejected: false,
  };
  slot.record = { ...token, recipe, source, provider };
  if (slot.flight?.attempt === attempt) slot.flight = undefined;
  const { channelCandidate, sealedBy } = request;
  const hasChannel = channelOf(partition, slot, floor, policy) !== undefined && slot.channel?.sealedBy === sealedBy;
  if (policy === partition.policy && !hasChannel)
    slot.channel = { version: generation, epoch, policy, sealed: channelCandidate, sealedBy };
  return committed(generation);
}

export function fail({ partition, nowMs }: Script, request: FailRequest): number | undefined {
  const { address, attempt, code, message, retryAfterMs, backoffFirstMs, backoffMaxMs, uniform } = request;
  const slot = partition.slot(address.slot);
  const flight = remembered(slot, nowMs);
  if (flight?.attempt !== attempt) return undefined;
  if (flight.failed !== undefined) return Math.max(0, flight.untilMs - nowMs);
  const failures = flight.failures + 1;
  const fullMs = Math.min(backoffMaxMs, backoffFirstMs * 2 ** Math.min(failures - 1, 30));
  const pauseMs = Math.floor(Math.max(retryAfterMs, fullMs / 2 + (fullMs / 2) * uniform));
  slot.flight = {
    ...flight,
    failures,
    failed: { code, message },
    untilMs: nowMs + pauseMs,
    forgottenAtMs: nowMs + pauseMs + backoffMaxMs,
  };
  return pauseMs;
}

export function abandon({ partition, nowMs }: Script, address: SlotAddress, attempt: string): void {
  const slot = partition.slot(address.slot);
  const flight = remembered(slot, nowMs);
  if (flight?.attempt !== attempt || flight.failed !== undefined) return;
  slot.flight = { ...flight, untilMs: 0 };
}

export function reject(
  script: Script,
  address: SlotAddress,
  epoch: number,
  generation: number,
  minIntervalMs: number,
): Awaited<ReturnType<Store['reject']>> {
  const { partition, nowMs } = script;
  const slot = partition.slot(address.slot);
  const floor = partition.floorOf(address);
  if (epoch !== partition.epoch || !isLive(script, slot, address) || slot.record?.generation !== generation)
    return { kind: 'stale', asOf: script.asOf(), floor };
  if (slot.rejectedUntilMs > nowMs) return { kind: 'limited', asOf: script.asOf(), floor };
  slot.rejectedUntilMs = nowMs + minIntervalMs;
  slot.floor = generation;
  slot.record = { ...slot.record, sealed: undefined, rejected: true };
  partition.invalidate({ kind: 'slot', slot: address.slot }, generation);
  return { kind: 'dropped', asOf: script.asOf(), floor: generation };
}

export function revoke(
  script: Script,
  target: InvalidationTarget,
  index: number,
  id: string,
  policy: number | undefined,
  upTo?: number,
): RevokeReply {
  const { partition, nowMs, replicas } = script;
  let note = partition.revocations.get(id);
  if (note?.epoch !== partition.epoch) {
    let replaced: number;
    let floor = upTo === undefined ? partition.nextGeneration(nowMs) : Math.min(upTo, partition.generation);
    const dies = (generation: number): boolean => upTo === undefined || generation <= floor;
    if (target.kind === 'slot') {
      const slot = partition.slot(target.slot);
      replaced = slot.floor;
      floor = slot.floor = Math.max(floor, replaced);
      const { record, flight, channel } = slot;
      if (record !== undefined && dies(record.generation))
        slot.record = { ...record, sealed: undefined, rejected: false };
      if (flight !== undefined && dies(flight.generation)) slot.flight = undefined;
      if (channel !== undefined && dies(channel.version)) slot.channel = undefined;
    } else {
      replaced = partition.cutoffs.get(cutoffName(target)) ?? 0;
      floor = Math.max(floor, replaced);
      partition.cutoffs.set(cutoffName(target), floor);
    }
    partition.invalidate(target, floor);
    note = { epoch: partition.epoch, floor, replaced, vseq: partition.vseq };
    partition.revocations.set(id, note);
  }
  if (target.kind === 'source' && policy !== undefined)
    partition.changed.set(target.source, Math.max(policy, partition.changed.get(target.source) ?? 0));
  return {
    asOf: script.asOf(),
    partition: index,
    floor: note.floor,
    replaced: note.replaced,
    vseq: note.vseq,
    epochBeganMs: partition.epochBeganMs,
    brokers: partition.leased(nowMs),
    replicas,
  };
}

export function confirm({ partition }: Script, target: InvalidationTarget, epoch: number, floor: number): boolean {
  const stands =
    target.kind === 'slot' ? partition.slot(target.slot).floor : (partition.cutoffs.get(cutoffName(target)) ?? 0);
  return epoch === partition.epoch && stands >= floor;
}

export function list(
  { partition, nowMs }: Script,
  index: number,
  filter: { readonly source?: string; readonly slot?: string },
): ListedSlot[] {
  const rows: ListedSlot[] = [];
  for (const [name, slot] of partition.slots) {
    const record = unexpired(slot, nowMs);
    if (record?.sealed === undefined || record.epoch !== partition.epoch) continue;
    if ((filter.slot ?? name) !== name || (filter.source ?? record.source) !== record.source) continue;
    const { source, provider, epoch, generation, expiresAtMs } = record;
    if (generation <= partition.floorOf({ slot: name, source, provider })) continue;
    const remainingMs = expiresAtMs - nowMs;
    if (remainingMs <= 0) continue;
    rows.push({ slot: name, partition: index, source, epoch, generation, expiresAtMs, remainingMs });
  }
  return rows;
}

function hit({ partition, asOf }: Script, slot: FakeSlot, address: SlotAddress, policy: number): Hit {
  const { record } = slot;
  if (record?.sealed === undefined) throw new Error('a hit without a record');
  const floor = partition.floorOf(address);
  const channel = channelOf(partition, slot, floor, policy);
  const { generation, expiresAtMs, sealed } = record;
  return {
    kind: 'hit',
    asOf: asOf(),
    floor,
    record: { generation, expiresAtMs, sealed },
    ...(channel === undefined ? {} : { channel }),
  };
}

/** Expired records are gone, as by `PEXPIREAT`. */
export function unexpired(slot: FakeSlot, nowMs: number): FakeSlot['record'] {
  if (slot.record !== undefined && slot.record.forgottenAtMs <= nowMs) slot.record = undefined;
  return slot.record;
}

function remembered(slot: FakeSlot, nowMs: number): FakeSlot['flight'] {
  if (slot.flight !== undefined && slot.flight.forgottenAtMs <= nowMs) slot.flight = undefined;
  return slot.flight;
}

function isLive(script: Script, slot: FakeSlot, address: SlotAddress): boolean {
  return isUsable(script, slot, address) && slot.record?.recipe === address.recipe;
}

/** Whether the record counts, for brokers with its recipe. */
function isUsable({ partition, nowMs }: Script, slot: FakeSlot, address: SlotAddress): boolean {
  const record = unexpired(slot, nowMs);
  return (
    record?.sealed !== undefined &&
    record.epoch === partition.epoch &&
    record.generation > partition.floorOf(address) &&
    record.usableUntilMs > nowMs
  );
}

function isOutdated(partition: FakePartition, address: SlotAddress, policy: number): boolean {
  return policy < (partition.changed.get(address.source) ?? 0);
}

function channelOf(
  partition: FakePartition,
  { channel }: FakeSlot,
  floor: number,
  policy: number,
): StoredChannel | undefined {
  if (channel === undefined || policy !== partition.policy || channel.policy !== policy) return undefined;
  if (channel.epoch !== partition.epoch || channel.version <= floor) return undefined;
  return { version: channel.version, sealed: channel.sealed };
}

export function cutoffName(target: InvalidationTarget): string {
  switch (target.kind) {
    case 'slot':
      return `slot:${target.slot}`;
    case 'source':
      return `source:${target.source}`;
    case 'provider':
      return `provider:${target.provider}`;
    case 'all':
      return 'all';
  }
}
