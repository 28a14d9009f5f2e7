import { TokenBrokerError } from '@token-broker/protocol';
import { VirtualClock } from '@token-broker/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeNats, type Delivery, type FakeConnection } from './fakes/fake-nats.js';
import { MAX_PENDING_REQUESTS, Requester } from './requester.js';

const EMPTY = new Uint8Array(0);
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (data: Uint8Array): string => new TextDecoder().decode(data);

let clock: VirtualClock;
let nats: FakeNats;
let connection: FakeConnection;
let requester: Requester;

beforeEach(() => {
  clock = new VirtualClock();
  nats = new FakeNats(clock);
  connection = nats.connect();
  requester = new Requester({ connection, clock, caller: 'orders', instance: 'i1' });
});

afterEach(() => {
  requester.close();
});

function serve(subject: string, answer: (delivery: Delivery) => string | undefined): void {
  nats.subscribe(subject, (delivery) => {
    const text = answer(delivery);
    if (text !== undefined && delivery.reply !== undefined) nats.publish(delivery.reply, bytes(text));
  });
}

function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'no error',
    (error: unknown) => (error instanceof TokenBrokerError ? error.code : String(error)),
  );
}

describe('the requester', () => {
  it('gives each request its own reply, in whatever order they come', async () => {
    const held: Delivery[] = [];
    nats.subscribe('echo', (delivery) => held.push(delivery));
    const answers = Promise.all(
      ['a', 'b', 'c'].map((name) => requester.request('echo', bytes(name), 1_000).then(textOf)),
    );
    await clock.advance(5);
    for (const { data, reply } of held.reverse()) nats.publish(reply ?? '', bytes(`re:${textOf(data)}`));
    await clock.advance(5);
    expect(await answers).toEqual(['re:a', 're:b', 're:c']);
    expect(requester.pending).toBe(0);
  });

  it('listens to one wildcard under the inbox of its caller and instance', async () => {
    serve('echo', ({ reply }) => reply);
    const reply = requester.request('echo', EMPTY, 1_000);
    await clock.advance(5);
    expect(connection.subscribed).toEqual(['_INBOX.orders.i1.*']);
    expect(textOf(await reply)).toMatch(/^_INBOX\.orders\.i1\.[0-9]+-[0-9]+$/);
  });

  it('says BROKER_UNAVAILABLE at once when nobody serves the subject', async () => {
    const code = codeOf(requester.request('nobody', EMPTY, 15_000));
    await clock.advance(2 * nats.latencyMs);
    expect(await code).toBe('BROKER_UNAVAILABLE');
    expect(clock.elapsedMs()).toBeLessThan(10);
  });

  it('takes an empty reply without that status for a reply', async () => {
    serve('echo', () => '');
    const reply = requester.request('echo', EMPTY, 1_000);
    await clock.advance(5);
    expect(await reply).toHaveLength(0);
  });

  it('ends each request at its own deadline, with one timer for all', async () => {
    serve('silence', () => undefined);
    const ended: string[] = [];
    for (const timeoutMs of [300, 100, 200])
      void codeOf(requester.request('silence', EMPTY, timeoutMs)).then((code) =>
        ended.push(`${String(timeoutMs)} ${code}`),
      );
    await clock.advance(2);
    expect(clock.pendingTimers).toBe(1);
    await clock.advance(98);
    expect(ended).toEqual(['100 DEADLINE']);
    await clock.advance(100);
    expect(ended).toEqual(['100 DEADLINE', '200 DEADLINE']);
    await clock.advance(100);
    expect(ended).toEqual(['100 DEADLINE', '200 DEADLINE', '300 DEADLINE']);
    expect(clock.pendingTimers).toBe(0);
  });

  it('does not let a reply that comes too late disturb anything', async () => {
    let late: Delivery | undefined;
    nats.subscribe('slow', (delivery) => (late = delivery));
    const code = codeOf(requester.request('slow', EMPTY, 50));
    await clock.advance(50);
    expect(await code).toBe('DEADLINE');
    nats.publish(late?.reply ?? '', bytes('late'));
    await clock.advance(5);
    expect(requester.pending).toBe(0);
  });

  it('refuses more than its bound of requests at the same time', async () => {
    serve('silence', () => undefined);
    for (let index = 0; index < MAX_PENDING_REQUESTS; index++) void codeOf(requester.request('silence', EMPTY, 1_000));
    expect(await codeOf(requester.request('silence', EMPTY, 1_000))).toBe('BROKER_UNAVAILABLE');
    expect(requester.pending).toBe(MAX_PENDING_REQUESTS);
  });

  it('sends again after a reconnection what waits for a reply', async () => {
    connection.outgoing = () => 'lose';
    const reply = requester.request('echo', bytes('once more'), 1_000);
    requester.onStatus({ type: 'disconnect' });
    await clock.advance(100);
    connection.mend();
    serve('echo', ({ data }) => textOf(data));
    requester.onStatus({ type: 'reconnect' });
    await clock.advance(5);
    expect(textOf(await reply)).toBe('once more');
  });

  it('names the connection when it is down at the deadline', async () => {
    connection.cut();
    const code = codeOf(requester.request('echo', EMPTY, 100));
    requester.onStatus({ type: 'disconnect' });
    await clock.advance(100);
    expect(await code).toBe('BROKER_UNAVAILABLE');
  });

  it.each([
    ['2.x', { type: 'error', permissionContext: { operation: 'publish', subject: 'secret' } }],
    ['3.x', { type: 'error', error: Object.assign(new Error('denied'), { operation: 'publish', subject: 'secret' }) }],
  ])('says FORBIDDEN at once when the server refuses the subject, as %s tells it', async (_version, status) => {
    serve('open', () => undefined);
    connection.outgoing = () => 'lose';
    const secret = codeOf(requester.request('secret', EMPTY, 1_000));
    const open = codeOf(requester.request('open', EMPTY, 1_000));
    requester.onStatus(status);
    expect(await secret).toBe('FORBIDDEN');
    await clock.advance(1_000);
    expect(await open).toBe('DEADLINE');
  });

  it('rejects what waits and what comes when it is closed, and leaves the connection open', async () => {
    serve('silence', () => undefined);
    const waiting = codeOf(requester.request('silence', EMPTY, 1_000));
    requester.close();
    expect(await waiting).toBe('CLOSED');
    expect(await codeOf(requester.request('silence', EMPTY, 1_000))).toBe('CLOSED');
    expect(connection.isClosed()).toBe(false);
    expect(connection.subscribed).toEqual([]);
    await clock.advance(5);
    expect(clock.pendingTimers).toBe(0);
  });

  it('says FORBIDDEN when the server refuses its inbox, now and later', async () => {
    serve('echo', () => 'unheard');
    connection.refused = new Error('Permissions Violation for Subscription');
    const waiting = codeOf(requester.request('echo', EMPTY, 1_000));
    await clock.advance(5);
    expect(await waiting).toBe('FORBIDDEN');
    expect(await codeOf(requester.request('echo', EMPTY, 1_000))).toBe('FORBIDDEN');
  });

  it('says BROKER_UNAVAILABLE on a connection that was closed', async () => {
    connection.closed = true;
    expect(await codeOf(requester.request('echo', EMPTY, 1_000))).toBe('BROKER_UNAVAILABLE');
  });
});
