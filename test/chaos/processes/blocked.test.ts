import { eventually } from '@token-broker/testing';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ask } from '../../integration/asking.js';
import type { Stack } from '../../integration/stack.js';
import { answersTo } from './callers.js';
import { holderAmong, startReplicas, startServers, stopReplicas, type Replica } from './replicas.js';
import { revokeBesideSilentReplica } from './silent-replica.js';
import { lookIntoRedis } from './stored-record.js';

// Several processes start in each case: on a loaded machine that takes longer than what is shown.
vi.setConfig({ testTimeout: 60_000 });

let stack: Stack;
let replicas: Replica[] = [];

beforeEach(async () => {
  stack = await startServers();
});

afterEach(async () => {
  await stopReplicas(replicas);
  await stack.stop();
});

it('F37: the event loop is blocked for 5 s: no late commit succeeds, and nothing is answered from a lapsed lease', async () => {
  const BLOCKED_MS = 5_000;
  replicas = await startReplicas(stack, 3, `at-token-reply:block:${String(BLOCKED_MS)}`);
  const stored = lookIntoRedis(stack, 'payments-api');
  const billing = await stack.connectAs('billing');
  // Every replica holds a token of the other source.
  const old = await ask(billing, 'billing', 'orders-api');
  await eventually(
    async () => {
      await answersTo(billing, 'orders-api', 20, 'billing');
      const held = await Promise.all(replicas.map((replica) => replica.metric('token_broker_memory_entries')));
      return held.every((entries) => entries === 1);
    },
    { what: 'every replica to hold the token' },
  );

  stack.idp.setHanging(true);
  const first = answersTo(billing, 'payments-api', 1, 'billing');
  await eventually(() => stack.idpCalls() === 2, { what: 'the call to be under way' });
  const holder = await holderAmong(replicas);
  await holder.arm();
  stack.idp.setHanging(false);
  // It has the reply, it has not committed, and from here on it does nothing.
  await holder.program.waitForLine(/^fault: block$/);

  const reply = await revokeBesideSilentReplica(stack, 'orders-api');
  expect(reply.complete).toBe(true);
  expect(reply.brokers.acked).toBeLessThan(3);
  const held = answersTo(billing, 'orders-api', 30, 'billing');
  const missed = answersTo(billing, 'payments-api', 30, 'billing');
  const won = await eventually(
    async () => {
      const record = await stored.record();
      return record['generation'] === undefined ? undefined : record;
    },
    { what: 'another replica to win', withinMs: BLOCKED_MS },
  );
  await eventually(() => holder.metric('token_broker_commits_refused_total', { reason: 'lost' }), {
    what: 'the late commit to be refused',
    withinMs: BLOCKED_MS,
  });
  const fresh = await held;
  expect(fresh.filter((answer) => answer === old.accessToken || answer.startsWith('Error'))).toEqual([]);
  const winners = new Set([...(await first), ...(await missed)]);
  expect([...winners]).toEqual([(await ask(billing, 'billing', 'payments-api')).accessToken]);
  expect(await stored.record()).toEqual(won);
  stored.close();
});
