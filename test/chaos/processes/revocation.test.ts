import { eventually } from '@token-broker/testing';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ask } from '../../integration/asking.js';
import { startStack, type Stack } from '../../integration/stack.js';
import { answersTo } from './callers.js';
import { Hammer } from './hammer.js';
import { LEASE_MS, SLACK_MS, startReplicas, stopReplicas, type Replica } from './replicas.js';
import { revokeBesideSilentReplica } from './silent-replica.js';
import { lookIntoRedis, type StoredSlot } from './stored-record.js';

// Several processes start in each case: on a loaded machine that takes longer than what is shown.
vi.setConfig({ testTimeout: 60_000 });

const SOURCE = 'payments-api';
const REPLICAS = 3;

let stack: Stack;
let stored: StoredSlot;
let replicas: Replica[] = [];
/** Every token that the identity provider has issued, the oldest first. */
let issued: string[];

beforeEach(async () => {
  issued = [];
  stack = await startStack({
    brokers: 0,
    tokenTransform: (accessToken) => {
      issued.push(accessToken);
      return accessToken;
    },
  });
  replicas = await startReplicas(stack, REPLICAS);
  stored = lookIntoRedis(stack, SOURCE);
});

afterEach(async () => {
  stored.close();
  await stopReplicas(replicas);
  await stack.stop();
});

async function sumOf(name: string, labels: Readonly<Record<string, string>>): Promise<number> {
  const values = await Promise.all(replicas.map((replica) => replica.metric(name, labels)));
  return values.reduce((sum, value) => sum + value, 0);
}

/** Asks until every replica holds the token in its memory. */
async function warm(): Promise<void> {
  const connection = await stack.connectAs('orders');
  await eventually(
    async () => {
      await answersTo(connection, SOURCE, 20);
      const held = await Promise.all(replicas.map((replica) => replica.metric('token_broker_memory_entries')));
      return held.every((entries) => entries === 1);
    },
    { what: 'every replica to hold the token' },
  );
}

it.each([
  // Who waits in another replica asks for a successor at once: without them, there is none before the call ends.
  { order: 'before its successor is fetched', callers: 1, callMs: 2_000, deadIs: 0 },
  { order: 'after its successor was fetched', callers: 20, callMs: 4_000, deadIs: 1 },
])(
  'F8: revoked during the call, which ends $order: that token is never served or stored',
  async ({ callers, callMs, deadIs }) => {
    const connection = await stack.connectAs('orders');
    const operator = await stack.operator();
    stack.idp.setDelay(callMs);
    const asked = answersTo(connection, SOURCE, callers);
    await eventually(() => stack.idpCalls() === 1, { what: 'the call to be under way' });
    const watch = stored.watch();
    stack.idp.setDelay(0);
    expect((await operator.revoke({ selector: { source: SOURCE }, reason: 'a test' })).complete).toBe(true);
    if (deadIs === 0) {
      expect(issued).toHaveLength(0);
      await eventually(() => issued.length > 0, { what: 'the call to end' });
    }
    const later = await answersTo(connection, SOURCE, 20);
    // That is the successor: the call that was revoked is still in the air.
    if (deadIs === 1) expect(issued).toHaveLength(1);
    const earlier = await asked;
    await eventually(() => sumOf('token_broker_commits_refused_total', { reason: 'dead' }), {
      what: 'the late commit to be refused',
    });
    const seen = await watch.stop();
    expect(issued).toHaveLength(2);
    expect(new Set([...earlier, ...later])).toEqual(new Set([issued[1 - deadIs]]));
    // One generation was ever there: the successor's.
    expect([...seen]).toEqual([(await ask(connection, 'orders', SOURCE)).generation]);
    expect(stack.idpCalls()).toBe(2);
  },
);

it('F9: a caller after the acknowledgement never gets the old token, whichever replica answers', async () => {
  const REVOCATIONS = 12;
  await warm();
  const operator = await stack.operator();
  const slot = (await ask(await stack.connectAs('orders'), 'orders', SOURCE)).slot;
  const hammer = await Hammer.start(stack, SOURCE, 4, 4);
  const floors = [0];
  for (let revocation = 0; revocation < REVOCATIONS; revocation++) {
    const reply = await operator.revoke({ selector: { slot }, reason: 'a test' });
    // From this moment on, whoever asks is after the acknowledgement.
    const acknowledged = hammer.mark();
    expect(reply).toMatchObject({ complete: true, brokers: { expected: REPLICAS, acked: REPLICAS } });
    floors[acknowledged] = await stored.floor();
    await eventually(() => hammer.blows.filter(({ marksBefore }) => marksBefore === acknowledged).length > 50, {
      what: 'enough callers after the acknowledgement',
    });
  }
  await hammer.stop();
  expect(hammer.errors).toEqual([]);
  expect(new Set(floors).size).toBe(REVOCATIONS + 1);
  expect(hammer.blows.filter(({ marksBefore, generation }) => generation <= (floors[marksBefore] ?? 0))).toEqual([]);
  expect(stack.idpCalls()).toBe(REVOCATIONS + 1);
});

it('F9: a replica that was stopped during the revocation does not answer with the old token when it goes on', async () => {
  // Its lease must run out: nobody waits longer for a replica that says nothing.
  const REVOKED_WITHIN_MS = LEASE_MS + SLACK_MS;
  await warm();
  const [stopped] = replicas;
  if (stopped === undefined) throw new Error('no replica');
  const connection = await stack.connectAs('orders');
  let acknowledged = false;
  const answeredBefore: number[] = [];
  const answered: number[] = [];
  const askOften = (): Promise<unknown> =>
    Promise.all(
      Array.from({ length: 30 }, async () => {
        const { generation } = await ask(connection, 'orders', SOURCE);
        (acknowledged ? answered : answeredBefore).push(generation);
      }),
    );
  // Requests reach the stopped one before the word of the revocation does: when it goes on, it reads them first.
  const halted = stopped.halt();
  const askedBefore = askOften();
  await halted;
  const reply = await revokeBesideSilentReplica(stack, SOURCE);
  acknowledged = true;
  expect(reply.complete).toBe(true);
  expect(reply.brokers.acked).toBeLessThan(REPLICAS);
  expect(reply.tookMs).toBeLessThan(REVOKED_WITHIN_MS);
  const floor = await stored.cutoff();
  expect(floor).toBeGreaterThan(0);
  const askedAfter = askOften();
  await eventually(() => answered.length > 0, { what: 'the other replicas to answer' });
  // Some wait in the stopped one, whose memory has the old token.
  expect(answeredBefore.length + answered.length).toBeLessThan(60);
  stopped.wake();
  await Promise.all([askedBefore, askedAfter]);
  expect(answered.filter((generation) => generation <= floor)).toEqual([]);
});
