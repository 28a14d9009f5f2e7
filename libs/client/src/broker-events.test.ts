import { createSubjects, encode } from '@token-broker/protocol';
import { VirtualClock } from '@token-broker/testing';
import { expect, it } from 'vitest';
import { BrokerEvents } from './broker-events.js';
import { FakeNats } from './fakes/fake-nats.js';

it('a fault in what an event leads to is none of the connection that the application gave', async () => {
  const subjects = createSubjects();
  const clock = new VirtualClock();
  const nats = new FakeNats(clock);
  const connection = nats.connect();
  const warnings: string[] = [];
  let doubts = 0;
  const fault = (): never => {
    throw new TypeError('a hole in a list');
  };
  const events = new BrokerEvents({
    ...{ connection, subjects, caller: 'orders', instance: 'i1' },
    ...{ heartbeat: fault, invalidation: fault, refreshed: fault },
    logger: { debug: () => undefined, warn: (message) => warnings.push(message) },
    unreadable: () => doubts++,
  });
  const invalidation = { v: 1, id: 'r1', atMs: 1, changes: [{ partition: 0, epoch: 1, vseq: 1, floor: 1 }] };
  nats.publish(subjects.invalidation(0), encode(invalidation));
  await clock.advance(10);
  expect([doubts, warnings]).toEqual([
    1,
    ['an invalidation cannot be read: a fault of this client: TypeError: a hole in a list'],
  ]);
  events.close();
});
