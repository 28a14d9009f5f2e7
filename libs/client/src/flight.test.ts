import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createBed, type Bed } from './fakes/bed.js';
import { codeOf } from './fakes/code-of.js';

let clock: VirtualClock;
let bed: Bed;

beforeEach(async () => {
  clock = new VirtualClock();
  bed = createBed(clock, new SeededRandom(31));
  await bed.during(bed.broker.ready());
});

afterEach(async () => {
  await bed.close();
});

const isInbox = (subject: string): boolean => subject.startsWith('_INBOX.');

describe('a fetch', () => {
  it('takes whichever reply comes first after it has asked again, and counts the life of its token from its own request', async () => {
    let replies = 0;
    bed.connection.incoming = ({ subject }) => {
      if (!isInbox(subject)) return 'pass';
      replies++;
      // The first reply is slow, but not as slow as the second one.
      return replies === 1 ? [3_500] : [3_000];
    };
    const startedAtMs = clock.elapsedMs();
    const token = await bed.during(bed.broker.source('payments').get(), 4_000);
    expect(clock.elapsedMs() - startedAtMs).toBeLessThanOrEqual(4_000);
    expect(bed.server.gets).toHaveLength(2);
    expect(token.expiresInMs).toBeLessThanOrEqual(bed.server.lifeMs - (clock.elapsedMs() - startedAtMs));
    // What comes after it disturbs nothing.
    await clock.advance(5_000);
    expect(bed.broker.source('payments').current).toBe(token);
    expect(bed.broker.stats().requests).toBe(2);
  });

  it('asks every three seconds until its deadline, then gives up', async () => {
    bed.server.tamper = () => undefined;
    const code = codeOf(bed.broker.source('payments').get());
    await clock.advance(14_990);
    expect(bed.server.gets).toHaveLength(5);
    expect(await bed.during(code, 20)).toBe('DEADLINE');
    await clock.advance(30_000);
    expect(bed.server.gets).toHaveLength(5);
  });

  it('has no timer of its own: a thousand of them wait by one', async () => {
    const before = clock.pendingTimers;
    const tokens = Array.from({ length: 1_000 }, (_, index) => bed.broker.source(`source-${String(index)}`).get());
    // A thousand messages are on their way, each by a timer of the bed.
    const underWay = 1_000;
    expect(clock.pendingTimers - before - underWay).toBeLessThanOrEqual(1);
    await bed.during(Promise.all(tokens));
    expect(bed.broker.stats().requests).toBe(1_000);
  });

  it('fails without a noise when all who waited have left', async () => {
    bed.server.tamper = () => undefined;
    const gone = AbortSignal.abort(new Error('gone'));
    await expect(bed.broker.source('payments').get({ signal: gone })).rejects.toThrow('gone');
    // A rejection that nobody handles would fail this run.
    await clock.advance(20_000);
    expect(bed.server.gets.length).toBeGreaterThan(0);
  });
});
