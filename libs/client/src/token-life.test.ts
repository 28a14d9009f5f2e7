import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createBed, type Bed } from './fakes/bed.js';
import { codeOf } from './fakes/code-of.js';

let clock: VirtualClock;
let bed: Bed;

beforeEach(() => {
  clock = new VirtualClock();
  bed = createBed(clock, new SeededRandom(7));
});

afterEach(async () => {
  await bed.close();
});

describe('the life of a token', () => {
  it('is counted from the moment the request was sent, so that a slow reply never makes it longer', async () => {
    bed.server.lifeMs = 100_000;
    const handle = bed.broker.source('payments');
    const token = await bed.during(handle.get(), 2);
    // It was issued after 1 ms and 1 ms more went by; the client counts from the sending.
    expect(token.expiresInMs).toBe(100_000 - 2);
  });

  it('adds the time for which the broker held the request', async () => {
    bed.server.lifeMs = 100_000;
    bed.server.heldMs = 10_000;
    const token = await bed.during(bed.broker.source('payments').get(), 10_002);
    expect(token.expiresInMs).toBe(100_000 - 2);
  });

  it('does not believe that the broker held the request for longer than the reply took', async () => {
    bed.server.lifeMs = 100_000;
    bed.server.heldMs = 500;
    bed.server.tamper = (reply) => ({ ...reply, heldMs: 3_600_000 });
    const token = await bed.during(bed.broker.source('payments').get(), 502);
    // The clock of the broker was set on meanwhile: the life is counted from the request.
    expect(token.expiresInMs).toBe(100_000 - 502);
  });

  it('ends for callers when the minimum lifetime is left (G4)', async () => {
    bed.server.lifeMs = 20_000;
    const handle = bed.broker.source('payments');
    const first = await bed.during(handle.get(), 2);
    bed.server.failure = { code: 'IDP_UNAVAILABLE', message: 'down' };
    await clock.advance(14_990);
    expect(handle.current).toBe(first);
    expect(first.expiresInMs).toBeGreaterThanOrEqual(5_000);
    await clock.advance(10);
    expect(handle.current).toBeUndefined();
    expect(await bed.during(codeOf(handle.get()))).toBe('IDP_UNAVAILABLE');
  });

  it('is usable to half of it when it is shorter than twice the minimum lifetime', async () => {
    bed.server.lifeMs = 6_000;
    const handle = bed.broker.source('payments');
    await bed.during(handle.get(), 2);
    bed.server.failure = { code: 'IDP_UNAVAILABLE', message: 'down' };
    await clock.advance(2_990);
    expect(handle.current).toBeDefined();
    await clock.advance(10);
    expect(handle.current).toBeUndefined();
  });

  it('is not believed when the reply has less than the minimum lifetime left', async () => {
    bed.server.tamper = (reply) => ({ ...reply, expiresInMs: 4_000 });
    expect(await bed.during(codeOf(bed.broker.source('payments').get()), 2_000)).toBe('BROKER_UNAVAILABLE');
    expect(bed.server.gets).toHaveLength(4);
  });

  it('may be wished longer: the held token is passed over, and the wish is capped at half the life', async () => {
    bed.server.lifeMs = 100_000;
    const handle = bed.broker.source('payments');
    const first = await bed.during(handle.get());
    expect(await handle.get({ minTtlMs: 3_600_000 })).toBe(first);
    await clock.advance(60_000);
    expect(handle.current).toBe(first);
    bed.server.issue('payments', bed.slot);
    const second = await bed.during(handle.get({ minTtlMs: 45_000 }));
    expect(second.generation).toBeGreaterThan(first.generation);
    expect(bed.server.gets.at(-1)).toEqual({ minTtlMs: 45_000 });
  });

  it('is renewed in the background from about 90 % on, while the old token is served', async () => {
    bed.server.lifeMs = 105_000;
    const handle = bed.broker.source('payments');
    const first = await bed.during(handle.get());
    bed.server.issue('payments', bed.slot);
    await clock.advance(87_000);
    expect(handle.current).toBe(first);
    await clock.advance(1);
    expect(bed.server.gets).toHaveLength(1);
    await clock.advance(6_000);
    expect(handle.current).toBe(first);
    expect(handle.current).toBe(first);
    await clock.advance(5);
    expect(handle.current?.generation).toBeGreaterThan(first.generation);
    expect(bed.server.gets).toHaveLength(2);
    expect(bed.told).toContain('refreshed');
  });

  it('is renewed with a few tries only when nothing newer comes', async () => {
    bed.server.lifeMs = 105_000;
    const handle = bed.broker.source('payments');
    await bed.during(handle.get());
    for (let ms = 0; ms < 99_000; ms += 10) {
      expect(handle.current).toBeDefined();
      await clock.advance(10);
    }
    expect(bed.server.gets.length).toBeGreaterThan(1);
    expect(bed.server.gets.length).toBeLessThan(10);
  });

  it('does not depend on the wall clock (F31)', async () => {
    bed.server.lifeMs = 100_000;
    const handle = bed.broker.source('payments');
    await bed.during(handle.get());
    clock.jumpWall(-600_000);
    await clock.advance(94_000);
    expect(handle.current).toBeDefined();
    bed.server.failure = { code: 'IDP_UNAVAILABLE', message: 'down' };
    await clock.advance(1_000);
    expect(handle.current).toBeUndefined();
  });
});
