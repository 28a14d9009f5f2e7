import { eventually } from '@token-broker/testing';
import type { NatsConnection } from 'nats';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { ask } from '../../integration/asking.js';
import { BACK_WITHIN_MS, COMMAND_TIMEOUT_MS, startStoreStack, whenAllReady, type StoreStack } from './store-stack.js';
import { whenSent, type ScriptName } from './scripts.js';
import { timed } from './timing.js';
import { lastClaim, storedRecord } from './stored-record.js';

let stack: StoreStack;
let orders: NatsConnection;
let slot: string;

beforeAll(async () => {
  stack = await startStoreStack();
  orders = await stack.connectAs('orders');
  slot = (await ask(orders, 'orders', 'payments-api')).slot;
});
afterAll(() => stack.stop());
beforeEach(async () => {
  await (await stack.operator()).revoke({ selector: { slot }, reason: 'a test' });
});

/** The replies of Redis vanish from the moment on at which a broker sends this script. Resolves at that moment. */
async function loseRepliesFrom(script: ScriptName): Promise<void> {
  await whenSent(stack.proxy, script, () => {
    stack.proxy.faults.toClient.discard = true;
  });
}

/** Asks for a token while the reply to this script is lost; `heal` is called when Redis has done what it says. */
async function askWhileReplyIsLost(
  script: ScriptName,
  isDone: () => Promise<boolean>,
  heal: () => void,
): Promise<Awaited<ReturnType<typeof ask>>> {
  const lost = loseRepliesFrom(script);
  const asked = ask(orders, 'orders', 'payments-api');
  await lost;
  await eventually(isDone, { what: 'Redis to have taken the command', everyMs: 2 });
  heal();
  return asked;
}

const resetLink = (): void => {
  stack.proxy.faults.toClient.discard = false;
  stack.proxy.reset();
};
/** New connections are whole, and the old ones never say anything again, not even that they have ended. */
const leaveConnectionsDead = (): void => {
  stack.proxy.faults.toClient.discard = false;
};

it.each([
  ['and the link is reset', resetLink, 0],
  // A dead connection is noticed when nothing has come over it for two command timeouts.
  ['and the connection stays silent', leaveConnectionsDead, 2 * COMMAND_TIMEOUT_MS],
])(
  'F7: the reply to the commit is lost, %s: exactly one generation step, one call, and the caller gets the token',
  async (_, heal, noticedWithinMs) => {
    const calls = stack.idpCalls();
    const isCommitted = async (): Promise<boolean> =>
      (await storedRecord(stack.direct, slot))?.fields['sealed'] !== undefined;
    const { value: token, tookMs } = await timed(() => askWhileReplyIsLost('commit', isCommitted, heal));
    expect(tookMs).toBeLessThan(noticedWithinMs + BACK_WITHIN_MS);
    const record = await storedRecord(stack.direct, slot);
    expect(token.generation).toBe(record?.generation);
    expect(await lastClaim(stack.direct, record?.key ?? '')).toBe(token.generation);
    expect(stack.idpCalls() - calls).toBe(1);
    await whenAllReady(stack);
    const again = await Promise.all(Array.from({ length: 12 }, () => ask(orders, 'orders', 'payments-api')));
    expect(new Set(again.map(({ generation }) => generation))).toEqual(new Set([token.generation]));
    expect(stack.idpCalls() - calls).toBe(1);
  },
);

it.each([
  ['and the link is reset', resetLink],
  ['and the connection stays silent', leaveConnectionsDead],
])(
  'F7: the reply to the reservation is lost, %s: it is the same reservation, and the caller gets the token',
  async (_, heal) => {
    const calls = stack.idpCalls();
    const isReserved = async (): Promise<boolean> => (await stack.direct.keys('{test:*}:flight:*')).length > 0;
    const { value: token, tookMs } = await timed(() => askWhileReplyIsLost('reserve', isReserved, heal));
    // Not only when the reservation has run out, which keeps every replica out for the lock's time (4 s).
    expect(tookMs).toBeLessThan(2 * COMMAND_TIMEOUT_MS + BACK_WITHIN_MS);
    expect(stack.idpCalls() - calls).toBe(1);
    expect((await storedRecord(stack.direct, slot))?.generation).toBe(token.generation);
    await whenAllReady(stack);
  },
);

it('F11: the reply to a revocation is lost: it is reported as failed, and holds all the same', async () => {
  const before = await ask(orders, 'orders', 'payments-api');
  const operator = await stack.operator();
  const lost = loseRepliesFrom('revoke');
  const revoked = operator.revoke({ selector: { slot }, reason: 'a test' });
  const refusal = expect(revoked).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  await lost;
  await eventually(async () => (await stack.direct.keys(`{test:*}:floor:${slot}`)).length === 1, {
    what: 'the floor',
    everyMs: 2,
  });
  resetLink();
  await refusal;
  await whenAllReady(stack);
  const after = await ask(orders, 'orders', 'payments-api');
  expect(after.generation).toBeGreaterThan(before.generation);
  expect(after.accessToken).not.toBe(before.accessToken);
  expect(await operator.revoke({ selector: { slot }, reason: 'a test' })).toMatchObject({ complete: true });
});
