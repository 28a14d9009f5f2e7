import { encode, type RevokeReply } from '@token-broker/protocol';
import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeNats, type FakeConnection } from './fakes/fake-nats.js';
import { createOperator, type Operator } from './operator.js';

const REVOKED: RevokeReply = {
  v: 1,
  id: 'r1',
  dryRun: false,
  slots: 1,
  nearCaches: 2,
  durable: true,
  broadcast: true,
  complete: true,
  brokers: { expected: 1, acked: 1 },
  tookMs: 3,
};

let clock: VirtualClock;
let nats: FakeNats;
let connection: FakeConnection;
let operator: Operator;
let asked: { readonly verb: string; readonly body: unknown }[];
let replies: Record<string, unknown>;

beforeEach(() => {
  clock = new VirtualClock();
  nats = new FakeNats(clock);
  connection = nats.connect();
  asked = [];
  replies = {};
  nats.subscribe('token-broker.v1.admin.ops.*', ({ subject, data, reply }) => {
    const verb = subject.split('.').at(-1) ?? '';
    asked.push({ verb, body: JSON.parse(new TextDecoder().decode(data)) as unknown });
    if (verb in replies) nats.publish(reply ?? '', encode(replies[verb]));
  });
  operator = createOperator({ connection, caller: 'ops', clock, random: new SeededRandom(1) });
});

afterEach(() => {
  operator.close();
});

async function during<T>(work: Promise<T>, ms = 5): Promise<T> {
  work.catch(() => undefined);
  await clock.advance(ms);
  return work;
}

describe('an operator', () => {
  it('revokes, and is told exactly what the broker found', async () => {
    replies['revoke'] = REVOKED;
    expect(await during(operator.revoke({ selector: { source: 'payments' }, reason: 'leaked' }))).toEqual(REVOKED);
    expect(asked).toEqual([{ verb: 'revoke', body: { v: 1, selector: { source: 'payments' }, reason: 'leaked' } }]);
  });

  it.each([
    [{ atProvider: true }, 45_000],
    [{ atProvider: true, wait: true, timeoutMs: 20_000 }, 55_000],
    [{ graceful: true, wait: true, timeoutMs: 20_000 }, 55_000],
  ])('has the patience for all that a broker waits for: %o', async (order, patienceMs) => {
    let isOver = false;
    const revoked = operator.revoke({ selector: { source: 'payments' }, ...order, reason: 'a test' });
    const ended = revoked.catch(() => (isOver = true));
    await clock.advance(patienceMs - 10);
    expect(isOver).toBe(false);
    await clock.advance(10);
    await ended;
    await expect(revoked).rejects.toMatchObject({ code: 'DEADLINE' });
  });

  it('lists, asks for the status and reloads', async () => {
    replies['list'] = { v: 1, slots: [], truncated: false };
    replies['reload'] = { v: 1, outcome: 'refused', problems: ['config.yaml:3: unknown key'] };
    expect(await during(operator.list({ source: 'payments', limit: 5 }))).toEqual(replies['list']);
    expect(await during(operator.reload())).toEqual(replies['reload']);
    expect(asked.map(({ verb }) => verb)).toEqual(['list', 'reload']);
  });

  it('pauses a source and lets it go on', async () => {
    replies['pause'] = { v: 1, source: 'payments', paused: true, changed: true, sinceMs: 1_793_523_600_000 };
    replies['resume'] = { v: 1, source: 'payments', paused: false, changed: true };
    expect(await during(operator.pause({ source: 'payments', reason: 'leaked' }))).toEqual(replies['pause']);
    expect(await during(operator.resume({ source: 'payments' }))).toEqual(replies['resume']);
    expect(asked).toEqual([
      { verb: 'pause', body: { v: 1, source: 'payments', reason: 'leaked' } },
      { verb: 'resume', body: { v: 1, source: 'payments' } },
    ]);
  });

  it('puts a refresh token there, which no error repeats', async () => {
    const order = { source: 'mailbox', refreshToken: 'canary-refresh-token' };
    replies['refresh-token'] = { v: 1, source: 'mailbox', sequence: 0, replicas: 2, replaced: true };
    expect(await during(operator.setRefreshToken(order))).toEqual(replies['refresh-token']);
    expect(asked).toEqual([{ verb: 'refresh-token', body: { v: 1, ...order } }]);
    replies['refresh-token'] = { v: 1, error: { code: 'BAD_REQUEST', message: 'it was spent before' } };
    const error = await during(operator.setRefreshToken(order)).catch((error: unknown) => error);
    expect(error).toMatchObject({ code: 'BAD_REQUEST', message: 'it was spent before' });
  });

  it("passes on the broker's refusal", async () => {
    replies['status'] = { v: 1, error: { code: 'FORBIDDEN', message: 'ops is not an administrator' } };
    await expect(during(operator.status())).rejects.toMatchObject({ code: 'FORBIDDEN', retryable: false });
  });

  it('does not take half a reply for a revocation', async () => {
    replies['revoke'] = { v: 1, id: 'r1' };
    await expect(during(operator.revoke({ selector: { all: true }, reason: 'a test' }))).rejects.toMatchObject({
      code: 'INTERNAL',
    });
  });

  it('waits for as long as the revocation waits for receipts, and then its own time', async () => {
    const failed = operator
      .revoke({ selector: { all: true }, wait: true, timeoutMs: 60_000, reason: 'a test' })
      .catch((e: unknown) => e);
    let ended = false;
    void failed.then(() => (ended = true));
    await clock.advance(74_999);
    expect(ended).toBe(false);
    await clock.advance(1);
    expect(await failed).toMatchObject({ code: 'DEADLINE' });
  });

  it('leaves the connection open', async () => {
    operator.close();
    await expect(operator.status()).rejects.toMatchObject({ code: 'CLOSED' });
    expect(connection.subscribed).toEqual([]);
    expect(connection.closed).toBe(false);
  });

  it('refuses a caller that is no identifier', () => {
    expect(() => createOperator({ connection, caller: 'o.ps', clock })).toThrow(/caller/);
  });
});
