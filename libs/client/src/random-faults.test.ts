import type { TokenReply } from '@token-broker/protocol';
import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { describe, expect, it } from 'vitest';
import { createBed } from './fakes/bed.js';
import { accessTokenOf } from './fakes/fake-broker.js';
import type { Delivery } from './fakes/fake-nats.js';
import type { Token } from './token.js';

const SEEDS = 25;
const STEPS = 400;
const STEP_MS = 100;
const MAX_STALENESS_MS = 8_000;
const TICK_MS = 1_000;
const LIFE_MS = 40_000;
const SOURCES = ['a', 'b', 'c', 'd', 'e', 'f'];

/**
 * One walk: a client whose messages are lost, repeated, held back and reordered, and brokers that lag by less than their
 * lease or do not see Redis, while tokens are refreshed and revoked and epochs begin. Checked with every token that is handed out:
 * none is served for longer than the staleness bound after it died (G2), and none is older than one before (G3).
 */
async function walk(
  seed: number,
): Promise<{ readonly served: number; readonly dead: number; readonly pushes: number }> {
  const clock = new VirtualClock();
  const random = new SeededRandom(seed);
  const bed = createBed(clock, random);
  const { server, connection, broker } = bed;
  Object.assign(server.timing, { maxStalenessMs: MAX_STALENESS_MS });
  server.lifeMs = LIFE_MS;
  const handles = SOURCES.map((source) => broker.source(source));
  const diedAtMs = new Map<string, number>();
  const issued = new Map<string, Set<string>>();
  const newest = new Map<string, Token>();
  const remembered = new Map<string, { readonly reply: TokenReply; readonly atMs: number }>();
  let served = 0;
  let dead = 0;
  let troubled = false;
  const wrong: string[] = [];

  const fate = ({ subject }: Delivery): 'pass' | 'lose' | readonly number[] => {
    if (!troubled) return 'pass';
    const dice = random.uniform();
    if (dice < 0.25) return 'lose';
    if (dice < 0.4) return [0, random.uniform() * 1_500];
    if (dice < 0.6) return [random.uniform() * (subject.startsWith('_INBOX') ? 300 : 1_500)];
    return 'pass';
  };
  connection.incoming = fate;
  connection.outgoing = fate;
  server.tamper = (reply) => {
    const old = remembered.get(reply.slot);
    const lags = troubled && random.uniform() < 0.3 && old !== undefined && clock.elapsedMs() - old.atMs < 3 * TICK_MS;
    if (lags) return { ...old.reply, heldMs: 0 };
    remembered.set(reply.slot, { reply, atMs: clock.elapsedMs() });
    const tokens = issued.get(reply.slot) ?? new Set();
    issued.set(reply.slot, tokens.add(reply.accessToken));
    const seesRedis = !troubled || random.uniform() > 0.2;
    return seesRedis ? reply : { ...reply, verified: false };
  };

  const judge = (token: Token, slot: string): void => {
    served += 1;
    const diedMs = diedAtMs.get(token.accessToken);
    if (diedMs !== undefined) dead += 1;
    const deadMs = clock.elapsedMs() - (diedMs ?? clock.elapsedMs());
    if (deadMs > MAX_STALENESS_MS) wrong.push(`${slot} served ${String(deadMs)} ms after its death`);
    const before = newest.get(slot);
    const isOlder =
      before !== undefined &&
      (token.epoch < before.epoch || (token.epoch === before.epoch && token.generation < before.generation));
    if (isOlder) wrong.push(`${slot} stepped back to ${String(token.epoch)}/${String(token.generation)}`);
    newest.set(slot, token);
  };
  const kill = (slot: string): void => {
    for (const accessToken of issued.get(slot) ?? [])
      if (!diedAtMs.has(accessToken)) diedAtMs.set(accessToken, clock.elapsedMs());
  };

  for (let step = 0; step < STEPS; step++) {
    const handle = handles[random.integer(handles.length)];
    if (handle === undefined) continue;
    const dice = random.uniform();
    if (dice < 0.02) troubled = !troubled;
    else if (dice < 0.08) {
      const record = server.issue(handle.source, handle.slot);
      const tokens = issued.get(handle.slot) ?? new Set();
      issued.set(handle.slot, tokens.add(accessTokenOf(record)));
      server.publishRefreshed(server.refreshedEvent(handle.slot, { push: random.uniform() < 0.7 }));
    } else if (dice < 0.14) {
      const change = server.revoke(handle.slot);
      kill(handle.slot);
      server.publishInvalidation([change]);
    } else if (dice < 0.145) {
      const keep = random.uniform() < 0.5;
      server.beginEpoch({ keep });
      if (!keep) for (const { slot } of handles) kill(slot);
    } else if (dice < 0.15) for (const [index, vseq] of server.vseqs.entries()) server.logFrom[index] = vseq;
    else if (dice < 0.5)
      handle.get({ timeoutMs: 2_000, minTtlMs: random.uniform() < 0.3 ? LIFE_MS / 2 : 0 }).then(
        (token) => {
          judge(token, handle.slot);
        },
        () => undefined,
      );
    await clock.advance(STEP_MS);
    for (const { current, slot } of handles) if (current !== undefined) judge(current, slot);
  }

  troubled = false;
  // Longer than a request whose reply was lost is waited for.
  await clock.advance(20_000);
  const after = await bed.during(Promise.all(handles.map((each) => each.get())));
  expect(wrong, String(random)).toEqual([]);
  for (const token of after)
    expect(diedAtMs.has(token.accessToken), `${String(random)}: dead after the faults`).toBe(false);
  expect(broker.stats().suspect, `${String(random)}: suspect after the faults`).toBe(false);
  const { pushes } = broker.stats();
  await bed.close();
  return { served, dead, pushes };
}

describe('a client among random faults', () => {
  it('serves nothing dead beyond the staleness bound, never steps back, and converges when the faults end', async () => {
    const total = { served: 0, dead: 0, pushes: 0 };
    for (let seed = 1; seed <= SEEDS; seed++) {
      const { served, dead, pushes } = await walk(seed);
      total.served += served;
      total.dead += dead;
      total.pushes += pushes;
    }
    // The walks did what they are for: faults kept dead tokens alive for a while, and pushes were taken.
    expect(total.served).toBeGreaterThan(10_000);
    expect(total.dead).toBeGreaterThan(100);
    expect(total.pushes).toBeGreaterThan(100);
  }, 60_000);
});
