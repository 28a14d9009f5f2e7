import { createSubjects } from '@token-broker/protocol';
import { VirtualClock } from '@token-broker/testing';
import { describe, expect, it } from 'vitest';
import { EventSubscriptions, MAX_SLOT_SUBSCRIPTIONS } from './event-subscriptions.js';
import { FakeNats } from './fakes/fake-nats.js';

const EVENTS = 'token-broker.v1.event';

function setUp() {
  const connection = new FakeNats(new VirtualClock()).connect();
  return { connection, events: new EventSubscriptions(connection, createSubjects(), () => undefined) };
}

describe('subscriptions to events', () => {
  it('are one per slot, however often a slot is asked for', () => {
    const { connection, events } = setUp();
    events.add('a', 's1');
    events.add('a', 's1');
    events.add('b', 's2');
    expect(connection.subscribed).toEqual([`${EVENTS}.a.s1`, `${EVENTS}.b.s2`]);
    events.remove('a', 's1');
    expect(connection.subscribed).toEqual([`${EVENTS}.b.s2`]);
  });

  it('beyond their cap are one wildcard for the source that needs one more, in place of its own', () => {
    const { connection, events } = setUp();
    events.add('b', 'other');
    for (let index = 1; index < MAX_SLOT_SUBSCRIPTIONS; index++) events.add('a', `s${String(index)}`);
    expect(connection.subscribed).toHaveLength(MAX_SLOT_SUBSCRIPTIONS);
    events.add('a', 'one-more');
    expect(connection.subscribed).toEqual([`${EVENTS}.b.other`, `${EVENTS}.a.*`]);
    events.add('a', 'and-another');
    expect(connection.subscribed).toHaveLength(2);
  });

  it('give up the wildcard with the last slot of the source', () => {
    const { connection, events } = setUp();
    for (let index = 0; index <= MAX_SLOT_SUBSCRIPTIONS; index++) events.add('a', `s${String(index)}`);
    for (let index = 0; index <= MAX_SLOT_SUBSCRIPTIONS; index++) events.remove('a', `s${String(index)}`);
    expect(connection.subscribed).toEqual([]);
  });

  it('end with close', () => {
    const { connection, events } = setUp();
    for (const slot of ['s1', 's2']) events.add('a', slot);
    events.close();
    expect(connection.subscribed).toEqual([]);
  });
});
