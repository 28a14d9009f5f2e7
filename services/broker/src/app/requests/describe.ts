import {
  decode,
  describeRequestSchema,
  failure,
  LIMITS,
  type DescribeReply,
  type DescribeRequest,
  type Failure,
  type Inquiry,
} from '@token-broker/protocol';
import type { Inquiries } from '../cluster/inquiries.js';
import type { Memory } from '../memory/memory.js';
import type { SlotAddress, Store } from '../ports/store.js';
import type { Source, Sources } from '../sources/sources.js';
import { isFailure } from './refusal.js';
import { budgetOf, refreshTokenOf, type SourceStatusPorts } from './source-status.js';

/** Tokens of a source that a description lists. */
const TOKENS_LISTED = 100;

export interface DescribePorts extends SourceStatusPorts {
  readonly store: Store;
  readonly inquiries: Inquiries;
}

/** All that the cluster knows of a source or a slot, but for the tokens. Without Redis it is what replicas hold. */
export async function describe(ports: DescribePorts, body: Uint8Array): Promise<DescribeReply | Failure> {
  const decoded = decode(describeRequestSchema, body, LIMITS.requestBytes);
  if (!decoded.ok) return failure('BAD_REQUEST', decoded.error);
  const subject = await subjectOf(ports, decoded.value);
  if (isFailure(subject)) return subject;
  const { source, address, inquiry } = subject;
  const { store, inquiries } = ports;
  const isSlot = inquiry.about === 'slot';
  const filter = isSlot ? { slot: address.slot, partition: address.partition } : { source: address.source };
  const [{ reports, silent }, listed, failed, budget, refreshToken] = await Promise.all([
    inquiries.ask(inquiry),
    store.list(filter, TOKENS_LISTED).catch(() => undefined),
    failureOf(ports, address),
    budgetOf(ports, source),
    refreshTokenOf(ports, source),
  ]);
  const tokens = listed?.slots
    .map(({ slot, epoch, generation, remainingMs }) => ({
      slot,
      epoch,
      generation,
      expiresInMs: Math.max(0, remainingMs),
    }))
    .sort((a, b) => a.expiresInMs - b.expiresInMs);
  return {
    v: 1,
    ...(isSlot ? { slot: address.slot, partition: address.partition } : {}),
    ...settingsOf(source),
    allowed: allowedCallers(ports.sources, address.source),
    tokens: tokens ?? null,
    truncated: listed?.truncated ?? false,
    ...(failed === undefined ? {} : { failure: failed }),
    ...(budget === undefined ? {} : { budget }),
    ...(refreshToken === undefined ? {} : { refreshToken }),
    replicas: reports.flatMap(({ knowledge }) => (knowledge === undefined ? [] : [knowledge])),
    silent: [...silent],
  };
}

interface Subject {
  readonly source: Source;
  /** Of a source: the slot of its tokens without parameters. */
  readonly address: SlotAddress;
  readonly inquiry: Inquiry;
}

async function subjectOf(ports: DescribePorts, { source: name, slot }: DescribeRequest): Promise<Subject | Failure> {
  const { sources } = ports;
  if (slot === undefined) {
    const source = sources.source(name ?? '');
    if (source === undefined) return failure('UNKNOWN_SOURCE', `there is no source "${name ?? ''}"`);
    return { source, address: sources.address(source, {}), inquiry: { about: 'source', name: name ?? '' } };
  }
  const source = await sourceOfSlot(ports, slot);
  if (source === undefined)
    return failure('UNKNOWN_SOURCE', 'no token of this slot is held, so that nobody knows its source');
  return { source, address: sources.addressOfSlot(source, slot), inquiry: { about: 'slot', name: slot } };
}

/** The name of a slot is a hash: its source is known where a token of it is held, or where it is a source's plain slot. */
export async function sourceOfSlot(
  { sources, memory, store }: { readonly sources: Sources; readonly memory: Memory; readonly store: Store },
  slot: string,
): Promise<Source | undefined> {
  const held = memory.peek(slot)?.address.source;
  if (held !== undefined) return sources.source(held);
  for (const source of sources.current.sources.values()) if (sources.address(source, {}).slot === slot) return source;
  const { slots } = await store.list({ slot, partition: memory.partitionOf(slot) }, 1);
  const [listed] = slots;
  return listed === undefined ? undefined : sources.source(listed.source);
}

async function failureOf(
  { store, sources }: DescribePorts,
  address: SlotAddress,
): Promise<DescribeReply['failure'] | undefined> {
  const read = await store.read(address, sources.current.policy).catch(() => undefined);
  if (read?.kind !== 'failed') return undefined;
  return { code: read.code, message: read.message, retryInMs: Math.max(0, Math.floor(read.remainingMs)) };
}

type Settings = Pick<
  DescribeReply,
  'source' | 'provider' | 'grant' | 'endpoint' | 'clientId' | 'scopes' | 'keepWarm' | 'refreshAhead'
>;

function settingsOf({ configuration, traits }: Source): Settings {
  const { name, provider, scopes, refresh } = configuration;
  return {
    source: name,
    provider,
    ...traits.summary,
    scopes: [...scopes],
    keepWarm: refresh.keepWarm,
    refreshAhead: refresh.ahead.kind !== 'off',
  };
}

function allowedCallers(sources: Sources, source: string): string[] {
  return [...sources.current.callers.keys()].filter((caller) => sources.grant(caller, source) !== undefined);
}
