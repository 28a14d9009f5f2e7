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

  it('take no longer for one more slot where there are a hundred thousand already', () => {
    const { connection, events } = setUp();
    // To go through all of them each time would take minutes.
    for (let index = 0; index < 100_000; index++) events.add('a', `s${String(index)}`);
    expect(connection.subscribed).toEqual([`${EVENTS}.a.*`]);
  });

  it('give up the wildcard with the last slot of the source', () => {
    const { connection, events } = setUp();
    for (let index = 0; index <= MAX_SLOT_SUBSCRIPTIONS; index++) events.add('a', `s${String(index)}`);
    for (let index = 0; index <= MAX_SLOT_SUBSCRIPTIONS; index++) events.remove('a', `s${String(index)}`);
    expect(connection.subscribed).toEqual([]);
  });

  it('are one per slot again when the rush is over, without a moment in which nothing is heard', () => {
    const { connection, events } = setUp();
    for (let index = 0; index <= MAX_SLOT_SUBSCRIPTIONS; index++) events.add('a', `s${String(index)}`);
    const few = MAX_SLOT_SUBSCRIPTIONS / 4;
    for (let index = MAX_SLOT_SUBSCRIPTIONS; index > few; index--) events.remove('a', `s${String(index)}`);
    expect(connection.subscribed).toEqual([`${EVENTS}.a.*`]);
    const heard: number[] = [];
    const subscribe = connection.subscribe.bind(connection);
    connection.subscribe = (subject, options) => {
      heard.push(connection.subscribed.filter((name) => name.endsWith('*')).length);
      return subscribe(subject, options);
    };
    events.remove('a', `s${String(few)}`);
    expect(connection.subscribed).toEqual(Array.from({ length: few }, (_, index) => `${EVENTS}.a.s${String(index)}`));
    expect(heard).toEqual(Array.from({ length: few }, () => 1));
    events.add('a', 'another');
    expect(connection.subscribed).toHaveLength(few + 1);
  });

  it('stay one wildcard where other sources leave no room for more', () => {
    const { connection, events } = setUp();
    for (let index = 0; index < MAX_SLOT_SUBSCRIPTIONS; index++) events.add('b', `s${String(index)}`);
    for (const slot of ['s1', 's2', 's3']) events.add('a', slot);
    events.remove('a', 's1');
    expect(connection.subscribed.filter((subject) => subject.includes('.a.'))).toEqual([`${EVENTS}.a.*`]);
    for (let index = 0; index < 10; index++) events.remove('b', `s${String(index)}`);
    events.remove('a', 's2');
    expect(connection.subscribed.filter((subject) => subject.includes('.a.'))).toEqual([`${EVENTS}.a.s3`]);
  });

  it('end with close', () => {
    const { connection, events } = setUp();
    for (const slot of ['s1', 's2']) events.add('a', slot);
    events.close();
    expect(connection.subscribed).toEqual([]);
  });
});
