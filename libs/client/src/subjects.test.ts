import { inspect } from 'node:util';
import { slotOf, subjectHashOf } from '@token-broker/protocol';
import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createBed, type Bed } from './fakes/bed.js';
import type { ClientLogger } from './logger.js';

const ADA = { subjectToken: 'canary-subject-ada' };
const ADA_BY_BOT = { ...ADA, actorToken: 'canary-actor-bot' };

let clock: VirtualClock;
let bed: Bed;
let logged: string[];

beforeEach(() => {
  clock = new VirtualClock();
  logged = [];
  const log = (message: string): void => void logged.push(message);
  const logger: ClientLogger = { debug: log, warn: log };
  bed = createBed(clock, new SeededRandom(5), { logger });
});

afterEach(async () => {
  await bed.close();
});

/** The events that the client listens to. */
function eventSubjects(): string[] {
  return bed.connection.subscribed.filter((subject) => subject.includes('.event.'));
}

async function useOnce(subjects: number, prefix = 'subject'): Promise<void> {
  const handles = Array.from({ length: subjects }, (_, index) =>
    bed.broker.source('payments', { subjectToken: `${prefix}-${String(index)}` }),
  );
  await bed.during(Promise.all(handles.map((handle) => handle.get())), 50);
}

describe('a handle on behalf of somebody', () => {
  it('has a slot of its own, named by the hash of its tokens', () => {
    const [plain, ada, byBot] = [{}, ADA, ADA_BY_BOT].map((options) => bed.broker.source('payments', options).slot);
    expect(plain).toBe(slotOf('payments'));
    expect(ada).toBe(slotOf('payments', { subjectHash: subjectHashOf('canary-subject-ada') }));
    expect(byBot).toBe(slotOf('payments', { subjectHash: subjectHashOf('canary-subject-ada', 'canary-actor-bot') }));
  });

  it('sends both tokens with its request, and holds a token that nobody else is given', async () => {
    const handle = bed.broker.source('payments', ADA_BY_BOT);
    const token = await bed.during(handle.get());
    expect(bed.server.gets).toEqual([ADA_BY_BOT]);
    expect(handle.current).toBe(token);
    expect(bed.broker.source('payments', ADA_BY_BOT).current).toBe(token);
    for (const other of [{}, ADA, { subjectToken: 'bob' }, { ...ADA, actorToken: 'another' }])
      expect(bed.broker.source('payments', other).current).toBeUndefined();
  });

  it('sends them with a report of a rejected token', async () => {
    const handle = bed.broker.source('payments', ADA_BY_BOT);
    const { epoch, generation } = await bed.during(handle.get());
    const token = await handle.get();
    expect(await bed.during(handle.reportRejected(token))).toBe('dropped');
    expect(bed.server.rejections).toEqual([{ ...ADA_BY_BOT, epoch, generation }]);
  });

  it('has the successor of a revoked token fetched with them, before anybody asks', async () => {
    const handle = bed.broker.source('payments', ADA_BY_BOT);
    const first = await bed.during(handle.get());
    bed.server.publishInvalidation([bed.server.revoke(handle.slot)]);
    await clock.advance(100);
    expect(bed.server.gets.at(-1)).toMatchObject(ADA_BY_BOT);
    expect(handle.current?.generation).toBeGreaterThan(first.generation);
  });

  it('sends them again after it was pushed out of the near cache', async () => {
    await bed.close();
    bed = createBed(clock, new SeededRandom(6), { maxEntries: 2 });
    const handle = bed.broker.source('payments', ADA);
    await bed.during(handle.get());
    await useOnce(2);
    expect(handle.current).toBeUndefined();
    bed.server.gets.length = 0;
    await bed.during(handle.get());
    expect(bed.server.gets).toEqual([expect.objectContaining(ADA)]);
  });

  it.each([
    [{ actorToken: 'canary-actor-bot' }, /^actorToken: needs a subjectToken/],
    [{ subjectToken: '' }, /^subjectToken: /],
    [{ subjectToken: 'canary canary' }, /^subjectToken: /],
    [{ ...ADA, actorToken: 'canary\n' }, /^actorToken: /],
    [{ subjectToken: 'canary'.repeat(3_000) }, /^subjectToken: /],
  ])('is refused where its tokens are not well formed, which the error does not repeat', (options, why) => {
    const make = (): unknown => bed.broker.source('payments', options);
    expect(make).toThrow(expect.objectContaining({ code: 'BAD_REQUEST' }) as Error);
    expect(make).toThrow(why);
    expect(make).not.toThrow(/canary/);
  });

  it('shows its tokens to nobody: not printed, not logged, not in an error, in no name and in no sync', async () => {
    const handle = bed.broker.source('payments', ADA_BY_BOT);
    const token = await bed.during(handle.get());
    bed.server.failure = { code: 'IDP_DENIED', message: 'the identity provider refuses it' };
    const refused = await bed.during(handle.get({ minTtlMs: 3_600_000 }).catch((error: unknown) => error));
    bed.server.syncFailure = { code: 'STORE_UNAVAILABLE', message: 'away' };
    handle.on('revoked', () => {
      throw new Error('of a listener');
    });
    bed.server.publishInvalidation([bed.server.revoke(handle.slot)]);
    await clock.advance(40_000);
    expect(logged.length).toBeGreaterThan(0);
    const shown = [handle, token, refused, bed.broker, bed.broker.stats()].flatMap((value) => [
      inspect(value, { depth: 20, showHidden: true }),
      JSON.stringify(value),
    ]);
    const said = [...logged, ...bed.connection.subscribed, ...bed.server.syncs.map((sync) => JSON.stringify(sync))];
    for (const text of [...shown, ...said]) expect(text).not.toContain('canary');
  });
});

describe('thousands of subjects', () => {
  const SUBJECTS = 3_000;

  it('leave nothing behind once their tokens have run out: no entry, no byte, no subscription', async () => {
    bed.server.lifeMs = 40_000;
    await useOnce(SUBJECTS);
    expect(bed.broker.stats().entries).toBe(SUBJECTS);
    expect(eventSubjects()).toEqual(['token-broker.v1.event.payments.*']);
    await clock.advance(30_000);
    expect(bed.broker.stats().entries).toBe(SUBJECTS);
    await clock.advance(80_000);
    expect(bed.broker.stats()).toMatchObject({ entries: 0, bytes: 0 });
    expect(eventSubjects()).toEqual([]);
  });

  it('leave the slots alone that are in use, last, or are on nobody’s behalf', async () => {
    bed.server.lifeMs = 600_000;
    const lasting = bed.broker.source('payments', { subjectToken: 'lasting' });
    await bed.during(lasting.get());
    bed.server.lifeMs = 40_000;
    const [used, plain] = [bed.broker.source('payments', ADA), bed.broker.source('payments')];
    await bed.during(Promise.all([used.get(), plain.get()]));
    await useOnce(1_200);
    for (let second = 0; second < 120; second++) {
      await clock.advance(1_000);
      if (second % 10 === 9) await bed.during(used.get());
    }
    expect(bed.broker.stats().entries).toBe(3);
    expect(lasting.current).toBeDefined();
    expect(used.current).toBeDefined();
    expect(eventSubjects().sort()).toEqual(
      [lasting, used, plain].map(({ slot }) => `token-broker.v1.event.payments.${slot}`).sort(),
    );
  });

  it('are reclaimed while no broker answers, too', async () => {
    bed.server.lifeMs = 40_000;
    await useOnce(500);
    bed.server.stop();
    bed.server.beats = false;
    await clock.advance(150_000);
    expect(bed.broker.stats().entries).toBe(0);
    expect(eventSubjects()).toEqual([]);
  });

  it('are held for within the bounds, in which the tokens that name them count', async () => {
    await bed.close();
    bed = createBed(clock, new SeededRandom(8), { maxBytes: 200_000 });
    await useOnce(40, 'x'.repeat(10_000));
    expect(bed.broker.stats().bytes).toBeLessThanOrEqual(200_000);
    expect(bed.broker.stats().entries).toBeLessThan(20);
    expect(eventSubjects()).toHaveLength(bed.broker.stats().entries);
  });

  it('do not lose a token that takes its time to come', async () => {
    bed.server.heldMs = 50_000;
    const handle = bed.broker.source('payments', ADA);
    const token = handle.get({ timeoutMs: 60_000 });
    await clock.advance(50_100);
    expect(handle.current).toBe(await token);
  });

  it('never step back to an older token after a slot was forgotten (G3)', async () => {
    bed.server.lifeMs = 40_000;
    const handle = bed.broker.source('payments', ADA);
    const first = await bed.during(handle.get());
    await clock.advance(120_000);
    expect(bed.broker.stats().entries).toBe(0);
    let asked = 0;
    bed.server.tamper = (reply) => (++asked === 1 ? { ...reply, generation: first.generation - 1 } : reply);
    expect((await bed.during(handle.get())).generation).toBeGreaterThan(first.generation);
    expect(asked).toBe(2);
  });
});
