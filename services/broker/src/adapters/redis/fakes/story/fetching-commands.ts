import { expect } from 'vitest';
import { ATTEMPTS, bytes, EVERY_ADDRESS, LONG_MS, SHORT_MS } from './cast.js';
import type { Command } from './scene.js';

const read: Command = async ({ store, policy, to, heard, say, words }) => {
  const reply = await store.read(to, policy);
  say(reply.kind, words.asOf(to, reply.asOf));
  if (reply.kind === 'failed') say(reply.code, reply.message, reply.remainingMs > 0);
  else {
    heard.floor = reply.floor;
    say(words.generation(to, reply.floor), reply.kind === 'hit' ? words.hit(to, reply) : '');
  }
};

const reserve: Command = async ({ store, policy, to, heard, known, say, pick, lifeMs, maybeTwice, words }) => {
  const [wantGreaterThan, floor] = [pick([0, heard.generation]), pick([0, heard.floor, heard.floor])];
  const attempt = pick(ATTEMPTS);
  const request = { address: to, wantGreaterThan, floor, attempt, callMs: lifeMs(), policy };
  const reply = await maybeTwice(
    () => store.reserve(request),
    (first, again) => {
      expect(again.kind).toBe(first.kind);
      if (first.kind === 'go') expect(again).toMatchObject({ generation: first.generation });
    },
  );
  say(attempt, reply.kind, words.asOf(to, reply.asOf));
  if (reply.kind === 'hit') say(words.hit(to, reply));
  if (reply.kind === 'failed') say(reply.code, reply.message);
  if (reply.kind === 'busy') say(reply.remainingMs > 0 && reply.remainingMs <= LONG_MS);
  if (reply.kind === 'relock') heard.floor = reply.floor;
  if (reply.kind !== 'go') return;
  say(words.generation(to, reply.generation), reply.isRefetch);
  known.reservations.set(attempt, { generation: reply.generation, asOf: reply.asOf, to });
};

const commit: Command = async ({ store, policy, known, step, say, pick, lifeMs, maybeTwice, words }) => {
  const attempt = pick(ATTEMPTS);
  const reserved = known.reservations.get(attempt);
  if (reserved === undefined) return;
  const { generation, asOf } = reserved;
  // Mostly the slot of the reservation: everything else is a fault.
  const others = EVERY_ADDRESS.filter(({ partition }) => partition === reserved.to.partition);
  const address = pick([reserved.to, reserved.to, reserved.to, pick(others)]);
  const { redisMs } = (await store.read(address, policy)).asOf;
  const usableUntilMs = redisMs + pick([lifeMs(), lifeMs(), LONG_MS, LONG_MS, LONG_MS, 0]);
  const request = {
    ...{ address, attempt, epoch: asOf.epoch, generation, policy, usableUntilMs },
    // The record itself goes when the token has expired.
    expiresAtMs: usableUntilMs + pick([0, LONG_MS]),
    sealed: bytes(`sealed ${String(step)}`),
    // Mostly the same: of a token that comes again there is more to find out.
    tokenHash: pick(['h1', 'h1', 'h1', 'h1', 'h2', `h${String(step)}`]),
    isConfigured: pick([false, false, false, true]),
    channelCandidate: bytes(`channel ${String(step)}`),
    sealedBy: pick(['k1', 'k1', 'k2']),
  };
  const reply = await maybeTwice(
    () => store.commit(request),
    (first, again) => {
      if (first.kind === 'ok') expect(again).toMatchObject({ kind: 'ok', generation: first.generation });
    },
  );
  say(attempt, reply.kind, words.asOf(address, reply.asOf));
  if (reply.kind !== 'ok') return;
  const { epoch } = reply.asOf;
  Object.assign(known.heardOf(address.partition), { generation: reply.generation, epoch, address });
  say(words.generation(address, reply.generation), words.channel(address, reply));
};

const fail: Command = async ({ store, to, known, say, pick, lifeMs, maybeTwice }) => {
  const retryMs = lifeMs();
  const request = {
    ...{ code: pick(['IDP_DENIED', 'IDP_UNAVAILABLE'] as const), message: pick(['no', '']) },
    attempt: pick(ATTEMPTS),
    address: to,
    retryAfterMs: pick([0, retryMs]),
    // Powers of two, whose halves are whole numbers too.
    ...(retryMs === SHORT_MS
      ? { retryAfterMs: SHORT_MS, backoffFirstMs: 2, backoffMaxMs: 4 }
      : { backoffFirstMs: 16_384, backoffMaxMs: 65_536 }),
    uniform: pick([0, 0.5]),
  };
  const address = known.reservations.get(request.attempt)?.to ?? to;
  const pauseMs = await maybeTwice(
    () => store.fail({ ...request, address }),
    (first, again) => {
      // The rest of the same pause.
      if (first === undefined) expect(again).toBeUndefined();
      else expect(again).toBeLessThanOrEqual(first);
    },
  );
  // What is left of a pause that was noted before: measured a moment later in one of the worlds.
  say(request.attempt, pauseMs === undefined ? 'too late' : Math.round(pauseMs / 4_096));
};

const abandon: Command = async ({ store, to, known, say, pick, maybeTwice }) => {
  const attempt = pick(ATTEMPTS);
  const address = known.reservations.get(attempt)?.to ?? to;
  await maybeTwice(() => store.abandon(address, attempt));
  say(attempt);
};

const reject: Command = async ({ store, to, heard, say, pick, lifeMs, maybeTwice, words }) => {
  const { epoch, generation, address = to } = heard;
  const of = pick([to, address, address]);
  const minIntervalMs = lifeMs();
  const reply = await maybeTwice(
    () => store.reject(of, epoch, generation, minIntervalMs),
    (first, again) => {
      expect(again.kind).toBe(first.kind === 'dropped' ? 'stale' : first.kind);
    },
  );
  say(reply.kind, words.generation(to, reply.floor), words.asOf(to, reply.asOf));
};

/** What a broker does to answer a request, and to fetch. */
export const FETCHING = { read, reserve, commit, fail, abandon, reject };
