import { connect as connectThree } from '@nats-io/transport-node';
import { createTokenBroker, type NatsConnectionLike, type Token, type TokenBroker } from '@token-broker/client';
import type { RevokeReply } from '@token-broker/protocol';
import { eventually } from '@token-broker/testing';
import { connect as connectTwo } from 'nats';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { PASSWORD, sourceSettings, startStack, type Settings, type Stack } from './stack.js';

interface Connection extends NatsConnectionLike {
  close(): Promise<void>;
}

let stack: Stack;
const open: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  stack = await startStack({
    brokers: 2,
    tokenLifeSeconds: 4,
    configure: (settings, idp) => ({
      ...settings,
      cluster: { ...(settings['cluster'] as Settings), minLifetime: '500ms' },
      sources: {
        'payments-api': sourceSettings(idp, { refresh: { ahead: '50%' } }),
        'orders-api': sourceSettings(idp, { refresh: { ahead: 'off' }, parameters: { tenant: 'shared' } }),
        slow: sourceSettings(idp, { refresh: { ahead: 'off' }, parameters: { tenant: 'slow' } }),
      },
    }),
  });
});
afterAll(() => stack.stop());
afterEach(async () => {
  for (const end of open.splice(0).reverse()) await end();
});

async function connection(library: 'two' | 'three', user: string, at = stack): Promise<Connection> {
  const options = { servers: at.nats.url, user, pass: PASSWORD };
  const made: Connection = library === 'two' ? await connectTwo(options) : await connectThree(options);
  open.push(() => made.close());
  return made;
}

function clientOf(made: Connection, caller: string): TokenBroker {
  const client = createTokenBroker({ connection: made, caller });
  open.push(() => client.close());
  return client;
}

/** So that the next `get` is one that the provider has to be asked for. */
async function revoke(slot: string): Promise<RevokeReply> {
  const operator = await stack.operator();
  const reply = await operator.revoke({ selector: { slot }, wait: true, timeoutMs: 3_000, reason: 'a test' });
  operator.close();
  return reply;
}

describe.each([
  ['nats 2.x', 'two'],
  ['@nats-io/transport-node 3.x', 'three'],
] as const)('a client on a connection of %s', (_, library) => {
  it('gets a token, and holds it: the next is the same, at once, without a request', async () => {
    const client = clientOf(await connection(library, 'billing'), 'billing');
    await client.ready();
    const handle = client.source('orders-api');
    expect(handle.current).toBeUndefined();
    const token = await handle.get();
    expect(handle.current).toBe(token);
    expect(await handle.get()).toBe(token);
    expect(token).toMatchObject({ tokenType: 'Bearer', verified: true });
    expect(token.expiresInMs).toBeGreaterThan(0);
    expect(token.expiresInMs).toBeLessThanOrEqual(4_000);
    expect(client.stats()).toMatchObject({ requests: 1, entries: 1 });
  });

  it('gives tokens that are frozen and do not show themselves when printed', async () => {
    const client = clientOf(await connection(library, 'billing'), 'billing');
    const token = await client.source('orders-api').get();
    expect(Object.isFrozen(token)).toBe(true);
    expect(() => Object.assign(token, { accessToken: 'changed' })).toThrow(TypeError);
    expect(JSON.stringify(token)).not.toContain(token.accessToken);
  });

  it('is given the next token by a push, with no request, before the held one ends', async () => {
    const client = clientOf(await connection(library, 'billing'), 'billing');
    const handle = client.source('payments-api');
    const pushed: Token[] = [];
    handle.on('refreshed', (token) => pushed.push(token));
    // A token at the beginning of its life: one that is nearly over would be asked for from here as well.
    await revoke(handle.slot);
    const first = await handle.get();
    const missed: Token[] = [];
    const second = await eventually(
      () => {
        const { current } = handle;
        if (current === undefined) missed.push(first);
        return current !== undefined && current.generation > first.generation ? current : undefined;
      },
      { what: 'the pushed token' },
    );
    expect(missed).toEqual([]);
    expect(pushed).toContain(second);
    expect(second.accessToken).not.toBe(first.accessToken);
    expect(client.stats()).toMatchObject({ requests: 1 });
    expect(client.stats().pushes).toBeGreaterThanOrEqual(1);
  });

  it('drops a revoked token before the revocation returns, and gets another', async () => {
    const client = clientOf(await connection(library, 'billing'), 'billing');
    const handle = client.source('orders-api');
    await client.ready();
    const first = await handle.get();
    const revoked: number[] = [];
    handle.on('revoked', ({ generation }) => revoked.push(generation));
    const reply = await revoke(handle.slot);
    expect(reply).toMatchObject({ complete: true, broadcast: true, brokers: { expected: 2, acked: 2 } });
    expect(reply.receipts?.stragglers).toEqual([]);
    expect(reply.receipts?.confirmed.map(({ instance }) => instance)).toContain(client.instance);
    expect(revoked).toEqual([first.generation]);
    expect((await handle.get()).generation).toBeGreaterThan(first.generation);
    expect(handle.current?.accessToken).not.toBe(first.accessToken);
  });

  it('K10: a caller that gives up gets its own reason, and the others their token, by one call', async () => {
    const handle = clientOf(await connection(library, 'ops'), 'ops').source('slow');
    await revoke(handle.slot);
    const slowCalls = (): number => stack.idp.requests().filter(({ form }) => form.get('tenant') === 'slow').length;
    const before = slowCalls();
    stack.idp.setDelay(400);
    const leaving = new AbortController();
    const reason = new Error('the user has left');
    // The one that leaves began the flight.
    const left = expect(handle.get({ signal: leaving.signal })).rejects.toBe(reason);
    const hasty = expect(handle.get({ timeoutMs: 1 })).rejects.toMatchObject({ code: 'DEADLINE' });
    const others = Array.from({ length: 10 }, () => handle.get());
    await eventually(() => slowCalls() > before, { what: 'the call of the provider' });
    leaving.abort(reason);
    await Promise.all([left, hasty]);
    stack.idp.setDelay(0);
    const tokens = await Promise.all(others);
    expect(new Set(tokens).size).toBe(1);
    expect(slowCalls() - before).toBe(1);
    await expect(handle.get({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(handle.current).toBe(tokens[0]);
  });

  it('ends with close(): what waits and what comes is refused, tokens are forgotten, the connection stays', async () => {
    const made = await connection(library, 'ops');
    const client = clientOf(made, 'ops');
    const handle = client.source('orders-api');
    await handle.get();
    const slow = client.source('slow');
    await revoke(slow.slot);
    stack.idp.setDelay(300);
    const waiting = expect(slow.get()).rejects.toMatchObject({ code: 'CLOSED' });
    await client.close();
    await waiting;
    stack.idp.setDelay(0);
    expect(client.stats()).toMatchObject({ entries: 0, bytes: 0 });
    expect(handle.current).toBeUndefined();
    await expect(handle.get()).rejects.toMatchObject({ code: 'CLOSED', retryable: false });
    expect(made.isClosed()).toBe(false);
    const next = clientOf(made, 'ops');
    expect((await next.source('orders-api').get()).accessToken).not.toBe('');
    // A near cache that has left is waited for by nobody.
    const { receipts } = await revoke(handle.slot);
    expect(receipts?.stragglers.map(({ instance }) => instance)).not.toContain(client.instance);
  });
});

describe('clients of both libraries', () => {
  it('share one call and one token', async () => {
    const two = clientOf(await connection('two', 'billing'), 'billing').source('orders-api');
    const three = clientOf(await connection('three', 'ops'), 'ops').source('orders-api');
    expect(two.slot).toBe(three.slot);
    await revoke(two.slot);
    const callsOf = (): number => stack.idp.requests().filter(({ form }) => form.get('tenant') === 'shared').length;
    const before = callsOf();
    const tokens = await Promise.all([two.get(), three.get()]);
    expect(tokens[0].accessToken).toBe(tokens[1].accessToken);
    expect(callsOf() - before).toBe(1);
  });
});

describe('where no broker runs', () => {
  it.each(['two', 'three'] as const)('says BROKER_UNAVAILABLE at once, with either library (%s)', async (library) => {
    const empty = await startStack({ brokers: 0 });
    try {
      const made = await connection(library, 'orders', empty);
      const client = createTokenBroker({ connection: made, caller: 'orders', requestTimeoutMs: 10_000 });
      await expect(client.source('payments-api').get()).rejects.toMatchObject({
        code: 'BROKER_UNAVAILABLE',
        retryable: true,
      });
      await expect(client.ready({ timeoutMs: 50 })).rejects.toMatchObject({ code: 'BROKER_UNAVAILABLE' });
      // It comes back by itself when one starts.
      await empty.addBroker();
      expect((await client.source('payments-api').get()).accessToken).not.toBe('');
      await client.close();
      await made.close();
    } finally {
      await empty.stop();
    }
  });
});
