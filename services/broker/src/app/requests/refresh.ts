import { within, type Clock } from '@token-broker/foundation';
import {
  decode,
  failure,
  LIMITS,
  refreshRequestSchema,
  type Failure,
  type RefreshReply,
  type RefreshRequest,
} from '@token-broker/protocol';
import type { FlightOutcome } from '../flight/flight-plan.js';
import type { Memory } from '../memory/memory.js';
import type { Audit } from '../ports/audit.js';
import type { ServiceRequest } from '../ports/bus.js';
import type { Store } from '../ports/store.js';
import type { Sources } from '../sources/sources.js';
import { askedBy } from './asked-by.js';
import { sourceOfSlot } from './describe.js';
import type { GetToken } from './get-token.js';

/** Tokens that one order renews at most. */
const MAX_TOKENS = 1_000;
/** Renewals under way at once. */
const MAX_CONCURRENT = 16;
const DEFAULT_WAIT_MS = 10_000;

export interface RefreshPorts {
  readonly clock: Clock;
  readonly store: Store;
  readonly memory: Memory;
  readonly sources: Sources;
  readonly getToken: GetToken;
  readonly audit: Audit;
}

type End = FlightOutcome | 'needs-caller' | 'gone';

/**
 * Asks for newer tokens now, as refresh-ahead would: in the class of calls that gives way to everybody who waits, and with
 * the old token good until the new one is there. Rejects with a `StoreError` where the tokens cannot be listed.
 */
export async function refresh(ports: RefreshPorts, request: ServiceRequest): Promise<RefreshReply | Failure> {
  const decoded = decode(refreshRequestSchema, request.body, LIMITS.requestBytes);
  if (!decoded.ok) return failure('BAD_REQUEST', decoded.error);
  const { clock, store, memory, sources, audit } = ports;
  const { source, slot, timeoutMs = DEFAULT_WAIT_MS } = decoded.value;
  if (source !== undefined && sources.source(source) === undefined)
    return failure('UNKNOWN_SOURCE', `there is no source "${source}"`);
  if (slot !== undefined && (await sourceOfSlot(ports, slot)) === undefined)
    return failure('UNKNOWN_SOURCE', 'no token of this slot is held, so that nobody knows its source');
  const filter = slot === undefined ? { source: source ?? '' } : { slot, partition: memory.partitionOf(slot) };
  const { slots, truncated } = await store.list(filter, MAX_TOKENS);
  audit.note({
    ...askedBy(request),
    event: 'refresh.ordered',
    ...wishOf(decoded.value),
    facts: { tokens: slots.length },
  });
  const ends: End[] = [];
  const waiting = [...slots];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift())
      ends.push(await renewed(ports, next.source, next.slot));
  };
  const workers = Array.from({ length: Math.min(MAX_CONCURRENT, slots.length) }, work);
  await within(clock, timeoutMs, Promise.all(workers));
  // What has not begun does not begin any more: nobody would hear what came of it.
  const notBegun = waiting.splice(0).length;
  return { ...replyOf(slots.length - notBegun, ends), truncated: truncated || notBegun > 0 };
}

function wishOf({ source, slot }: RefreshRequest): { readonly source?: string; readonly slot?: string } {
  return { ...(source === undefined ? {} : { source }), ...(slot === undefined ? {} : { slot }) };
}

async function renewed({ memory, sources, getToken }: RefreshPorts, sourceName: string, slot: string): Promise<End> {
  const source = sources.source(sourceName);
  if (source === undefined) return 'gone';
  const address = sources.addressOfSlot(source, slot);
  // What a slot is of stands in its record alone.
  if (memory.peek(slot)?.address.recipe !== address.recipe)
    await getToken.look(source, address, 0, Number.NEGATIVE_INFINITY).catch(() => undefined);
  const held = memory.peek(slot);
  if (held?.address.recipe !== address.recipe) return 'gone';
  if (held.parameters.subjectHash !== undefined) return 'needs-caller';
  const { parameters, generation, wantedBy } = held;
  const route = { source, address, parameters, ...(wantedBy === undefined ? {} : { caller: wantedBy }) };
  return getToken.obtain(route, generation, 'refresh', { onlyIfFree: true });
}

function replyOf(tokens: number, ends: readonly End[]): Omit<RefreshReply, 'truncated'> {
  const reply = { tokens, refreshed: 0, elsewhere: 0, needsCaller: 0, failed: 0, underWay: tokens - ends.length };
  const failures = new Map<string, RefreshReply['failures'][number]>();
  const failedWith = ({ code, message, retryAfterMs }: Failure): void => {
    reply.failed++;
    const known = failures.get(code);
    const wait = Math.max(known?.retryAfterMs ?? 0, retryAfterMs ?? 0);
    failures.set(code, {
      code,
      message,
      count: (known?.count ?? 0) + 1,
      ...(wait === 0 ? {} : { retryAfterMs: wait }),
    });
  };
  for (const end of ends) {
    if (end === 'needs-caller') reply.needsCaller++;
    else if (end === 'gone') failedWith(failure('REVOKED', 'the token was gone before it could be renewed'));
    else if (end.kind === 'token') reply.refreshed++;
    else if (end.kind === 'elsewhere') reply.elsewhere++;
    else failedWith(end.failure);
  }
  return { v: 1, ...reply, failures: [...failures.values()] };
}
