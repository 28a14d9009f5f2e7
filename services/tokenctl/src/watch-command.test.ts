import { encode, type Heartbeat, type Invalidation, type RefreshedEvent } from '@token-broker/protocol';
import { VirtualClock } from '@token-broker/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { GENERATION, runOn, SLOT, type Outcome } from './fakes/run.js';
import type { Listener } from './surroundings.js';

const PREFIX = 'token-broker.v1';
const refreshed: RefreshedEvent = {
  ...{ v: 1, kind: 'refreshed', source: 'payments', slot: SLOT, partition: 1, epoch: 7, generation: GENERATION },
  ...{ asOf: 0, expiresAtMs: 1, lifeMs: 3_600_000, push: { channelVersion: 1, sealed: 'c2VhbGVk' } },
};
const heartbeat = (epochs = [7, 7]): Heartbeat => ({
  ...{ v: 1, broker: 'broker-1', ageMs: 1, atMs: 1, epochs, vseqs: [0, 0] },
  timing: { tickMs: 1_000, maxStalenessMs: 60_000, minLifetimeMs: 5_000 },
});
const invalidation = (change: object): Invalidation => ({
  v: 1,
  id: 'revocation-1',
  changes: [{ partition: 1, epoch: 7, vseq: 1, floor: 1, ...change }],
});

let clock: VirtualClock;
let listener: Listener | undefined;
let interrupt: () => void;

beforeEach(() => {
  clock = new VirtualClock();
  listener = undefined;
});

/** Runs the command while `play` happens, and then ends it as Ctrl-C does. */
async function watch(play: (to: Listener) => void | Promise<void>, ...more: string[]): Promise<Outcome> {
  const interrupted = new Promise<void>((resolve) => (interrupt = resolve));
  const running = runOn(clock, ['watch', ...more], { hear: (to) => (listener = to), interrupted });
  while (listener === undefined) await clock.advance(0);
  await play(listener);
  interrupt();
  return running;
}

const lines = ({ stdout }: Outcome): string[] =>
  stdout.split('\n').flatMap((line) => (line === '' ? [] : [line.slice(25)]));
const events = ({ stdout }: Outcome): { event: string }[] =>
  stdout.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as { event: string }]));

describe('watch', () => {
  it('shows what brokers publish, and ends with 0 when it is interrupted', async () => {
    const outcome = await watch((to) => {
      to.message(`${PREFIX}.event.payments.${SLOT}`, encode(refreshed));
      to.message(`${PREFIX}.invalidation.1`, encode(invalidation({ slot: SLOT })));
      to.message(`${PREFIX}.invalidation.all`, encode(invalidation({ sources: ['payments', 'mailbox'] })));
      to.message(`${PREFIX}.invalidation.all`, encode(invalidation({})));
    });
    expect(outcome).toMatchObject({ code: 0, closed: 1, stderr: 'Watching. Ctrl-C ends it.\n' });
    expect(lines(outcome)).toEqual([
      `refreshed: payments ${SLOT}, generation 2026-11-05 12:34:56.789, for 1 h 0 m`,
      `invalidated: slot ${SLOT}, in 1 partition [revocation-1]`,
      'invalidated: source payments, mailbox, in 1 partition [revocation-1]',
      'invalidated: every token, in 1 partition [revocation-1]',
    ]);
    expect(outcome.stdout).not.toContain('c2VhbGVk');
  });

  it('begins each line with the time of day, in UTC', async () => {
    const { stdout } = await watch((to) => to.connected(false));
    expect(stdout).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} {2}nats away: /);
  });

  it('tells when heartbeats are missing for three ticks, goes on telling, and when they come again', async () => {
    const outcome = await watch(async (to) => {
      to.message(`${PREFIX}.heartbeat`, encode(heartbeat()));
      await clock.advance(2_999);
      to.message(`${PREFIX}.heartbeat`, encode(heartbeat()));
      await clock.advance(2_999);
      to.message(`${PREFIX}.heartbeat`, encode(heartbeat()));
      await clock.advance(6_000);
      to.message(`${PREFIX}.heartbeat`, encode(heartbeat()));
      to.message(`${PREFIX}.heartbeat`, encode(heartbeat()));
    }, '--json');
    expect(events(outcome)).toMatchObject([
      { event: 'heartbeat', broker: 'broker-1' },
      { event: 'heartbeat-missing', forMs: 3_000 },
      { event: 'heartbeat-missing', forMs: 6_000 },
      { event: 'heartbeat', broker: 'broker-1' },
    ]);
  });

  it('tells that none has come at all', async () => {
    const outcome = await watch(() => clock.advance(3_000), '--json');
    expect(events(outcome)).toMatchObject([{ event: 'heartbeat-missing', forMs: 3_000 }]);
  });

  it('tells of a new epoch once, and not of an older one', async () => {
    const outcome = await watch((to) => {
      for (const epochs of [
        [7, 7],
        [7, 9],
        [7, 7],
        [7, 9],
      ])
        to.message(`${PREFIX}.heartbeat`, encode(heartbeat(epochs)));
    }, '--json');
    expect(events(outcome)).toMatchObject([{ event: 'heartbeat' }, { event: 'new-epoch', partitions: [1] }]);
  });

  it('says what the NATS server does not let it hear, when the connection is away, and what it does not understand', async () => {
    const outcome = await watch((to) => {
      to.denied(`${PREFIX}.heartbeat`);
      to.connected(false);
      to.connected(true);
      to.message(`${PREFIX}.heartbeat`, encode({ v: 2 }));
      to.message(`${PREFIX}.event.payments.\u001b[2J`, new Uint8Array([0xff]));
    });
    expect(lines(outcome).map((line) => line.split(':')[0])).toEqual([
      'denied',
      'nats away',
      'nats back',
      'not understood',
      'not understood',
    ]);
    expect(outcome.stdout).not.toContain('\u001b');
  });

  it('hears each source that its policy names where it may not hear all', async () => {
    const outcome = await watch(async (to) => {
      to.denied(`${PREFIX}.event.*.*`);
      await clock.advance(0);
      to.denied(`${PREFIX}.event.payments.*`);
    });
    expect(outcome.requests).toEqual([{ hears: 'payments' }]);
    expect(lines(outcome)).toEqual([
      'denied: the NATS server does not let this user hear token-broker.v1.event.payments.*',
    ]);
  });

  it('shows one source only where it is named, with what concerns all', async () => {
    const outcome = await watch(
      (to) => {
        to.message(`${PREFIX}.event.payments.${SLOT}`, encode(refreshed));
        to.message(`${PREFIX}.event.payments.${SLOT}`, encode({ ...refreshed, source: 'mailbox' }));
        to.message(`${PREFIX}.invalidation.all`, encode(invalidation({ sources: ['payments'] })));
        to.message(`${PREFIX}.invalidation.all`, encode(invalidation({})));
      },
      '--source',
      'mailbox',
      '--json',
    );
    expect(events(outcome)).toMatchObject([
      { event: 'refreshed', source: 'mailbox' },
      { event: 'invalidated', everything: true },
    ]);
  });

  it('ends by itself where it is said how long', async () => {
    const running = runOn(clock, ['watch', '--for', '10s', '--json'], { hear: (to) => (listener = to) });
    while (listener === undefined) await clock.advance(0);
    await clock.advance(10_000);
    expect(await running).toMatchObject({ code: 0 });
  });
});
