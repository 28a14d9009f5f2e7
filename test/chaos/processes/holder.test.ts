import { eventually } from '@token-broker/testing';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ask } from '../../integration/asking.js';
import type { Stack } from '../../integration/stack.js';
import { answersTo, coldClients, slowestMs, timedGet, tokensOf } from './callers.js';
import {
  holderAmong,
  IDP_TIMEOUT_MS,
  LOCK_MS,
  SLACK_MS,
  startReplicas,
  startServers,
  stopReplicas,
  WAITER_LOOKS_EVERY_MS,
  type Replica,
} from './replicas.js';
import { lookIntoRedis, RECORD_FIELDS, type StoredSlot } from './stored-record.js';

// Several processes start in each case: on a loaded machine that takes longer than what is shown.
vi.setConfig({ testTimeout: 60_000 });

const SOURCE = 'payments-api';

let stack: Stack;
let stored: StoredSlot;
let replicas: Replica[];
/** Every token that the identity provider has issued, the oldest first. */
let issued: string[];

beforeEach(async () => {
  issued = [];
  replicas = [];
  stack = await startServers((accessToken) => {
    issued.push(accessToken);
    return accessToken;
  });
  stored = lookIntoRedis(stack, SOURCE);
});

afterEach(async () => {
  stored.close();
  await stopReplicas(replicas);
  await stack.stop();
});

/** One caller asks, and the identity provider does not answer: the replica that is now in the middle of the call. */
async function holderInTheAir(): Promise<{ holder: Replica; others: Replica[]; first: Promise<string> }> {
  stack.idp.setHanging(true);
  const connection = await stack.connectAs('orders');
  const first = ask(connection, 'orders', SOURCE).then(({ accessToken }) => accessToken);
  first.catch(() => undefined);
  await eventually(() => stack.idpCalls() === 1, { what: 'the call to be under way' });
  const holder = await holderAmong(replicas);
  return { holder, others: replicas.filter((replica) => replica !== holder), first };
}

it('F2 K9: SIGKILL of the holder in mid-call: another completes after the lock’s time, and nobody hangs', async () => {
  const REQUEST_TIMEOUT_MS = 10_000;
  // The lock must run out, then a waiter looks again; what was asked of the dead replica is asked again after 3 s.
  const RESEND_AFTER_MS = 3_000;
  const ANSWERED_WITHIN_MS = LOCK_MS + WAITER_LOOKS_EVERY_MS + RESEND_AFTER_MS + SLACK_MS;
  replicas = await startReplicas(stack, 3);
  const clients = await coldClients(stack, 60, REQUEST_TIMEOUT_MS);
  const { holder } = await holderInTheAir();
  const waiting = Promise.all(clients.map((client) => timedGet(client, SOURCE)));
  // All of the others wait for it now, some of them in the holder itself.
  await eventually(async () => (await holder.metric('token_broker_flights')) === 1, { what: 'the holder to go on' });
  await holder.kill();
  stack.idp.setHanging(false);
  const ended = await waiting;
  expect(stack.idpCalls()).toBe(2);
  expect(tokensOf(ended)).toEqual([issued.at(-1)]);
  expect(slowestMs(ended)).toBeLessThan(ANSWERED_WITHIN_MS);
  expect(slowestMs(ended)).toBeLessThan(REQUEST_TIMEOUT_MS);
});

it('F3 K9: SIGSTOP of the holder between the reply and the commit, beyond the lock’s time: its commit is refused, and it answers with the winner’s token', async () => {
  const WON_WITHIN_MS = LOCK_MS + WAITER_LOOKS_EVERY_MS + SLACK_MS;
  replicas = await startReplicas(stack, 3, 'at-token-reply:stop');
  const { holder, first } = await holderInTheAir();
  await holder.arm();
  stack.idp.setHanging(false);
  await holder.halted();
  // Some of these are given to the stopped replica and wait there: they are answered when it wakes.
  const connection = await stack.connectAs('orders');
  const asked = answersTo(connection, SOURCE, 20);
  await eventually(async () => (await stored.record())['generation'], {
    what: 'another replica to win',
    withinMs: WON_WITHIN_MS,
  });
  const won = await stored.record();
  holder.wake();
  const answers = await asked;
  expect(await first).toBe(issued[1]);
  expect(issued).toHaveLength(2);
  expect(new Set(answers)).toEqual(new Set([issued[1]]));
  expect(await holder.metric('token_broker_commits_refused_total', { reason: 'lost' })).toBe(1);
  expect(await stored.record()).toEqual(won);
});

it('F3: SIGSTOP of the holder in mid-call, beyond the lock’s time: awake again, it answers with the winner’s token', async () => {
  const WON_WITHIN_MS = LOCK_MS + WAITER_LOOKS_EVERY_MS + SLACK_MS;
  replicas = await startReplicas(stack, 3);
  const { holder, first } = await holderInTheAir();
  await holder.halt();
  const connection = await stack.connectAs('orders');
  const asked = answersTo(connection, SOURCE, 20);
  await eventually(() => stack.idpCalls() === 2, {
    what: 'another replica to call',
    withinMs: WON_WITHIN_MS,
  });
  // The reply to the stopped one waits in its socket, while its time for the call is long over.
  stack.idp.setHanging(false);
  const won = await eventually(async () => ((await stored.record())['generation'] ? stored.record() : undefined), {
    what: 'another replica to win',
    withinMs: IDP_TIMEOUT_MS,
  });
  holder.wake();
  const answers = await asked;
  expect(new Set(answers)).toEqual(new Set([await first]));
  expect(stack.idpCalls()).toBe(2);
  expect(await stored.record()).toEqual(won);
});

it('F4: a kill after the reply of the identity provider, before the commit: fetched again, no partial record', async () => {
  const REFETCHED_WITHIN_MS = LOCK_MS + WAITER_LOOKS_EVERY_MS + SLACK_MS;
  replicas = await startReplicas(stack, 3, 'at-token-reply:kill');
  const { holder, others } = await holderInTheAir();
  await holder.arm();
  stack.idp.setHanging(false);
  expect((await holder.program.exited).signal).toBe('SIGKILL');
  // All that is there is the claim: no record, whole or in part.
  expect(issued).toHaveLength(1);
  expect(await stored.kinds()).not.toContain('record');
  const [client] = await coldClients(stack, 1, REFETCHED_WITHIN_MS);
  if (client === undefined) throw new Error('no client');
  const token = await client.source(SOURCE).get();
  expect([token.accessToken]).toEqual([issued[1]]);
  expect(stack.idpCalls()).toBe(2);
  const record = await stored.record();
  expect(Object.keys(record)).toEqual(expect.arrayContaining(RECORD_FIELDS));
  expect(record['generation']).toBe(String(token.generation));
  for (const replica of others) expect(await replica.metric('token_broker_records_unreadable_total')).toBe(0);
});
