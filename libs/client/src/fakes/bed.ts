import { createAesGcm, type Clock, type Random } from '@token-broker/foundation';
import { slotOf } from '@token-broker/protocol';
import { createTokenBroker, type TokenBroker, type TokenBrokerOptions } from '../token-broker.js';
import { FakeBroker } from './fake-broker.js';
import { FakeNats, type FakeConnection } from './fake-nats.js';

/** A clock that a test moves. */
export interface MovedClock extends Clock {
  advance(ms: number): Promise<void>;
}

/** One client, one broker, and what is between them. */
export interface Bed {
  readonly nats: FakeNats;
  readonly server: FakeBroker;
  readonly connection: FakeConnection;
  readonly broker: TokenBroker;
  /** The slot of the source `payments` without parameters. */
  readonly slot: string;
  /** What the client told its listeners, in order. */
  readonly told: string[];
  /** Waits for `work` while time moves on. */
  during<T>(work: Promise<T>, ms?: number): Promise<T>;
  close(): Promise<void>;
}

export function createBed(clock: MovedClock, random: Random, options: Partial<TokenBrokerOptions> = {}): Bed {
  const aead = createAesGcm(random);
  const nats = new FakeNats(clock);
  const server = new FakeBroker(nats, clock, random, aead);
  const connection = nats.connect();
  const broker = createTokenBroker({ connection, caller: 'orders', clock, random, aead, ...options });
  const told: string[] = [];
  for (const name of ['suspect', 'recovered', 'refreshed', 'revoked'] as const) broker.on(name, () => told.push(name));
  const during = async <T>(work: Promise<T>, ms = 20): Promise<T> => {
    work.catch(() => undefined);
    await clock.advance(ms);
    return work;
  };
  return {
    nats,
    server,
    connection,
    broker,
    slot: slotOf('payments'),
    told,
    during,
    async close() {
      await during(broker.close());
      server.stop();
    },
  };
}
