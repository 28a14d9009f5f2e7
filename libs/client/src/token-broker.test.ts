import { createAesGcm } from '@token-broker/foundation';
import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeBroker } from './fakes/fake-broker.js';
import { FakeNats, type FakeConnection } from './fakes/fake-nats.js';
import { createTokenBroker, type TokenBroker } from './token-broker.js';

let clock: VirtualClock;
let nats: FakeNats;
let server: FakeBroker;
let connection: FakeConnection;
let broker: TokenBroker;

beforeEach(() => {
  clock = new VirtualClock();
  const random = new SeededRandom(7);
  nats = new FakeNats(clock);
  server = new FakeBroker(nats, clock, random, createAesGcm(random));
  connection = nats.connect();
  broker = createTokenBroker({ connection, caller: 'orders', clock, random });
});

afterEach(async () => {
  const closing = broker.close();
  await clock.advance(10);
  await closing;
  server.stop();
});

describe('a client', () => {
  it('has its first token one round trip after it was made', async () => {
    const token = broker.source('payments').get();
    await clock.advance(2 * nats.latencyMs);
    expect((await token).accessToken).toMatch(/^token-/);
  });

  it('serves what it holds without a request, and the same object', async () => {
    const handle = broker.source('payments');
    const first = handle.get();
    await clock.advance(10);
    expect(handle.current).toBe(await first);
    expect(await handle.get()).toBe(await first);
    expect(server.gets).toHaveLength(1);
  });
});
