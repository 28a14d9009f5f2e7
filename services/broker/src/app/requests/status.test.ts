import type { StatusReply } from '@token-broker/protocol';
import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { beforeEach, expect, it } from 'vitest';
import { FakeCluster, type Replica } from '../fakes/fake-cluster.js';
import { away } from '../fakes/fake-store.js';

let clock: VirtualClock;
let cluster: FakeCluster;

beforeEach(async () => {
  clock = new VirtualClock();
  cluster = new FakeCluster(clock, new SeededRandom(12));
  for (let i = 0; i < 3; i++) await cluster.start();
  await clock.advance(2_000);
});

async function statusOf(by: Replica, ms = 50): Promise<StatusReply> {
  const asked = by.ask({ verb: 'admin', caller: 'ops', target: 'status' });
  await clock.advance(ms);
  return (await asked) as unknown as StatusReply;
}

function replica(index: number): Replica {
  const found = cluster.replicas[index];
  if (found === undefined) throw new Error(`there is no replica ${String(index)}`);
  return found;
}

it('is that of every replica, whichever is asked', async () => {
  for (const asked of cluster.replicas) {
    const { broker, replicas = [], silent } = await statusOf(asked);
    expect(broker).toBe(asked.name);
    expect(replicas[0]?.broker).toBe(asked.name);
    expect(replicas.map((one) => one.broker).sort()).toEqual(['b1', 'b2', 'b3']);
    expect(replicas.every(({ ready, problems }) => ready && problems.length === 0)).toBe(true);
    expect(new Set(replicas.map(({ epochs }) => String(epochs))).size).toBe(1);
    expect(new Set(replicas.map(({ policy }) => policy)).size).toBe(1);
    expect(silent).toEqual([]);
  }
});

it('sums up what the replicas have counted of each source', async () => {
  const gets = [replica(0).get(), replica(0).get()];
  await clock.advance(10);
  await Promise.all(gets);
  await replica(0).get();
  await replica(1).get();
  await clock.advance(10);
  const { sources, replicas = [] } = await statusOf(replica(2));
  expect(sources[0]).toMatchObject({ name: 'payments-api', idpCalls: 0, heldSlots: 0 });
  expect(sources[0]?.all).toMatchObject({ requests: 4, refusals: 0, idpCalls: 1, idpErrors: 0, held: 2 });
  expect(sources[0]?.all?.memoryHits).toBeGreaterThanOrEqual(1);
  expect(replicas.find(({ broker }) => broker === 'b1')?.counts).toMatchObject({ requests: 3, idpCalls: 1, held: 1 });
});

it('does not count what is asked of sources that do not exist', async () => {
  await replica(0).ask({ target: 'no-such-source' });
  await replica(0).ask({ caller: 'stranger' });
  const { replicas = [] } = await statusOf(replica(0));
  expect(replicas[0]?.counts).toMatchObject({ requests: 0, refusals: 0 });
});

it('names a replica that has a lease and does not answer, after half a second', async () => {
  replica(1).bus.deadLink = true;
  let isOver = false;
  const asked = statusOf(replica(0), 0).then((status) => {
    isOver = true;
    return status;
  });
  await clock.advance(499);
  expect(isOver).toBe(false);
  await clock.advance(1);
  const { replicas = [], silent } = await asked;
  expect(silent).toEqual(['b2']);
  expect(replicas.map(({ broker }) => broker)).toEqual(['b1', 'b3']);
});

it('has the word of a replica that has lost Redis, and with it its lease', async () => {
  replica(1).store.wire = away();
  await clock.advance(10_000);
  const { brokers, replicas = [], silent } = await statusOf(replica(0));
  expect(brokers).toEqual(['b1', 'b3']);
  const lost = replicas.find(({ broker }) => broker === 'b2');
  expect(lost).toMatchObject({ ready: false, problems: [expect.stringContaining('Redis') as string] });
  expect(lost?.redis.leaseAgeMs).toBeGreaterThan(9_000);
  expect(silent).toEqual([]);
});

it('waits for nobody where NATS is away, and names the others', async () => {
  replica(0).bus.connected = false;
  const { replicas = [], silent } = await statusOf(replica(0), 0);
  expect(replicas.map(({ broker }) => broker)).toEqual(['b1']);
  expect(silent).toEqual(['b2', 'b3']);
});
