import type { TokenBroker } from '@token-broker/client';
import type { Operator } from '@token-broker/client/operator';
import { decode, getReplySchema, LIMITS, refreshedEventSchema } from '@token-broker/protocol';
import { eventually } from '@token-broker/testing';
import type { NatsConnection } from 'nats';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { ask } from '../../integration/asking.js';
import { startStack, type Stack } from '../../integration/stack.js';
import { filterConnection, kindOf, type FilteredConnection } from './filtered-connection.js';
import { clock, SLACK_MS, TICK_MS, Users, type Served } from './near-cache.js';

/**
 * A lost invalidation shows in the next heartbeat (a broker reads along once a tick, and beats when it has heard no
 * other for nearly a tick), is borne for 250 ms and at most half of that again, and then a sync asks for it.
 */
const FOUND_WITHIN_MS = 3 * TICK_MS + 250 * 1.5 + SLACK_MS;

/** A source is revoked in each partition, and each counts as an invalidation. */
const PARTITIONS = 16;

/** Refreshed ahead at four fifths of its life. */
const SHORT_LIFE_SECONDS = 3;
const LONG_LIFE_SECONDS = 600;

const users = new Users();
let tokenLifeSeconds = LONG_LIFE_SECONDS;
let stack: Stack;
let operator: Operator;
let connection: NatsConnection;
let filter: FilteredConnection;
let client: TokenBroker;

beforeAll(async () => {
  stack = await startStack({ tokenLifeSeconds: () => tokenLifeSeconds });
});
afterAll(() => stack.stop());
beforeEach(async () => {
  operator = await users.operator(stack.nats.url);
  connection = await users.connect(stack.nats.url, 'billing');
  filter = filterConnection(connection);
  client = users.nearCache(filter.connection, 'billing');
  await client.ready();
});
afterEach(() => users.end());

interface Heard {
  readonly subject: string;
  readonly data: Uint8Array;
}

/** Somebody with the brokers' own rights on the event subjects, who hears and can say all that brokers say. */
class Repeater {
  readonly heard: Heard[] = [];
  readonly #connection: NatsConnection;

  static async start(): Promise<Repeater> {
    const repeater = new Repeater(await users.connect(stack.nats.url, 'broker-events'));
    await repeater.#connection.flush();
    return repeater;
  }

  private constructor(as: NatsConnection) {
    this.#connection = as;
    for (const rest of ['event.*.*', 'invalidation.*', 'heartbeat', 'flight.*'])
      as.subscribe(`token-broker.v1.${rest}`, {
        callback: (_, { subject, data }) => this.heard.push({ subject, data: Uint8Array.from(data) }),
      });
  }

  async hears(kind: string, count: number): Promise<readonly Heard[]> {
    const ofKind = (): Heard[] => this.heard.filter((message) => kindOf(message) === kind);
    await eventually(() => ofKind().length >= count, { what: `${String(count)} messages of the kind ${kind}` });
    return ofKind();
  }

  /** Says it all, and returns when the near cache has been given it: the server keeps the order. */
  async repeat(messages: readonly Heard[], times = 1): Promise<void> {
    for (let time = 0; time < times; time++)
      for (const { subject, data } of messages) this.#connection.publish(subject, data);
    await this.#connection.flush();
    await connection.flush();
  }
}

function generationOf({ data }: { readonly data: Uint8Array }): number {
  const event = decode(refreshedEventSchema, data, LIMITS.replyBytes);
  if (!event.ok) throw new Error(event.error);
  return event.value.generation;
}

it('F20: events that come ten times have no effect', async () => {
  const repeater = await Repeater.start();
  const handle = client.source('payments-api');
  const told: string[] = [];
  for (const name of ['revoked', 'refreshed'] as const)
    client.on(name, ({ generation }) => told.push(`${name} ${String(generation)}`));
  await handle.get();
  await operator.revoke({ selector: { slot: handle.slot }, reason: 'a test' });
  const token = await handle.get();
  await repeater.hears('event', 2);
  await repeater.hears('invalidation', 1);
  await repeater.hears('flight', 2);
  await repeater.hears('heartbeat', 2);
  const [toldBefore, { invalidations, requests, pushes }, calls] = [[...told], client.stats(), stack.idpCalls()];

  await repeater.repeat([...repeater.heard], 10);
  // Acknowledged by every broker on the connection that brings the events: by then each has had all of them.
  const orders = await operator.revoke({ selector: { source: 'orders-api' }, wait: true, reason: 'a test' });
  expect(orders).toMatchObject({ complete: true, brokers: { expected: 3, acked: 3 } });
  // The receipts are those of near caches that had said that they are there, which this one may do a moment later.
  await eventually(() => client.stats().invalidations >= invalidations + PARTITIONS, {
    what: 'the near cache to have heard of the revocation too',
  });

  expect(handle.current).toBe(token);
  expect(told).toEqual(toldBefore);
  expect(client.stats()).toMatchObject({ invalidations: invalidations + PARTITIONS, requests, pushes });
  expect(stack.idpCalls()).toBe(calls);
  const asker = await users.connect(stack.nats.url, 'billing');
  for (let again = 0; again < 10; again++)
    expect((await ask(asker, 'billing', 'payments-api')).accessToken).toBe(token.accessToken);
});

it('F21: a refreshed event that a later revocation overtakes brings nothing back', async () => {
  const handle = client.source('payments-api', { scope: 'payments:read' });
  tokenLifeSeconds = SHORT_LIFE_SECONDS;
  await operator.revoke({ selector: { slot: handle.slot }, reason: 'a test' });
  const token = await handle.get();
  filter.decide((message) => (kindOf(message) === 'event' ? 'held' : 'arrives'));
  // The event of this very token may come after its reply, and be held too.
  const later = (): number | undefined => filter.held.map(generationOf).find((held) => held > token.generation);
  const generation = await eventually(later, { what: 'the token to be refreshed ahead of its end' });
  tokenLifeSeconds = LONG_LIFE_SECONDS;
  expect(handle.current).toBe(token);
  await operator.revoke({ selector: { slot: handle.slot }, wait: true, reason: 'a test' });
  expect(handle.current).toBeUndefined();

  const { pushes } = client.stats();
  filter.decide(() => 'arrives');
  filter.release();
  expect(handle.current).toBeUndefined();
  expect(client.stats().pushes).toBe(pushes);
  expect((await handle.get()).generation).toBeGreaterThan(generation);
});

it('F21: events of before a revocation that are repeated after it bring nothing back, to nobody', async () => {
  const repeater = await Repeater.start();
  const handle = client.source('payments-api');
  await operator.revoke({ selector: { slot: handle.slot }, reason: 'a test' });
  const token = await handle.get();
  const refreshed = await repeater.hears('event', 1);
  await repeater.hears('flight', 1);
  await operator.revoke({ selector: { slot: handle.slot }, wait: true, reason: 'a test' });
  await repeater.repeat(repeater.heard.filter((message) => ['event', 'flight'].includes(kindOf(message))));
  expect(refreshed.map(generationOf)).toContain(token.generation);
  expect(handle.current).toBeUndefined();
  const asker = await users.connect(stack.nats.url, 'billing');
  expect((await ask(asker, 'billing', 'payments-api')).generation).toBeGreaterThan(token.generation);
  expect((await handle.get()).generation).toBeGreaterThan(token.generation);
});

it('F22: when every third event is lost each revocation is found, and nothing else is dropped', async () => {
  const counts = new Map<string, number>();
  const lost = new Map<string, number>();
  const handles = [
    client.source('payments-api'),
    client.source('orders-api'),
    client.source('payments-api', { scope: 'payments:read' }),
  ];
  const watches: Served[] = handles.map((handle) => users.watch(handle));
  for (const handle of handles) await handle.get();
  filter.decide((message) => {
    const kind = kindOf(message);
    if (kind === 'reply') return 'arrives';
    const count = (counts.get(kind) ?? 0) + 1;
    counts.set(kind, count);
    if (count % 3 !== 0) return 'arrives';
    lost.set(kind, (lost.get(kind) ?? 0) + 1);
    return 'lost';
  });
  for (const [round, handle] of [...handles, ...handles, ...handles].entries()) {
    const others = handles.filter((other) => other !== handle);
    const before = await handle.get();
    const kept = await Promise.all(others.map((other) => other.get()));
    await operator.revoke({ selector: { slot: handle.slot }, reason: 'a test' });
    const revokedAtMs = clock.elapsedMs();
    await eventually(() => handle.current === undefined, {
      what: `the near cache to find the revocation of round ${String(round)}`,
    });
    const lastAtMs = watches[round % 3]?.lastAtMs(before) ?? Infinity;
    expect(lastAtMs - revokedAtMs).toBeLessThanOrEqual(FOUND_WITHIN_MS);
    expect(others.map(({ current }) => current)).toEqual(kept);
  }
  expect(lost.get('invalidation')).toBe(3);
  expect(lost.get('heartbeat')).toBeGreaterThan(0);
  expect(watches.map(({ stepsBack }) => stepsBack)).toEqual([0, 0, 0]);
});

it('F23: when only the last event is lost the next heartbeat shows it', async () => {
  const handle = client.source('payments-api');
  const held = await handle.get();
  const served = users.watch(handle);
  let lost = 0;
  filter.decide((message) => {
    if (kindOf(message) !== 'invalidation' || lost > 0) return 'arrives';
    lost += 1;
    return 'lost';
  });
  const { syncs } = client.stats();
  await operator.revoke({ selector: { slot: handle.slot }, reason: 'a test' });
  const revokedAtMs = clock.elapsedMs();
  await eventually(() => handle.current === undefined, { what: 'the revoked token to go' });
  expect(lost).toBe(1);
  expect((served.lastAtMs(held) ?? Infinity) - revokedAtMs).toBeLessThanOrEqual(FOUND_WITHIN_MS);
  expect(client.stats().syncs).toBeGreaterThan(syncs);
  expect((await handle.get()).generation).toBeGreaterThan(held.generation);
});

it('F24: a reply that a later revocation overtakes is neither given out nor kept', async () => {
  const handle = client.source('payments-api', { scope: 'payments:write' });
  const given: string[] = [];
  client.on('refreshed', ({ generation }) => given.push(String(generation)));
  const served = users.watch(handle);
  filter.decide((message) => (kindOf(message) === 'reply' ? 'held' : 'arrives'));
  const waiting = handle.get();
  const [late] = await eventually(() => (filter.held.length > 0 ? filter.held : undefined), {
    what: 'the reply to be under way',
  });
  const { invalidations } = client.stats();
  await operator.revoke({ selector: { slot: handle.slot }, reason: 'a test' });
  await eventually(() => client.stats().invalidations > invalidations, { what: 'the event to overtake it' });
  filter.decide(() => 'arrives');
  filter.release();
  const token = await waiting;

  const stale = decode(getReplySchema, late?.data ?? new Uint8Array(), LIMITS.replyBytes);
  if (!stale.ok || !('accessToken' in stale.value)) throw new Error('the held message is no reply with a token');
  expect(token.generation).toBeGreaterThan(stale.value.generation);
  expect(handle.current).toBe(token);
  expect(served.lastAtMs(stale.value)).toBeUndefined();
  expect(given).not.toContain(String(stale.value.generation));
});
