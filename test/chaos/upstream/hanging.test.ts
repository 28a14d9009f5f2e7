import { createSystemClock } from '@token-broker/foundation';
import {
  eventually,
  startFaultProxy,
  startIdentityProvider,
  startScriptedIdentityProvider,
  type FaultProxy,
  type ScriptedIdentityProvider,
} from '@token-broker/testing';
import { slotOf, type Failure } from '@token-broker/protocol';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CLIENT_ID, CLIENT_SECRET } from '../../integration/stack.js';
import { ANSWERED_WITHIN_MS, MANY, startUpstreamBed, type UpstreamBed } from './faulty-upstream.js';

/** `timeout` of the sources: how long one call may take. */
const TIMEOUT_MS = 800;
/** `lockTime`: a lock, or a flight, that a failure did not free would keep everybody out for as long as this. */
const LOCK_MS = 15_000;
/** The first pause after a failure is half to all of this; who asks after it waits for one call. */
const FIRST_PAUSE_MS = 500;
/** A slow key of 30 s, a sixth as long, and what the other keys may take meanwhile on a loaded machine. */
const SLOW_MS = 5_000;
const OTHERS_ANSWERED_WITHIN_MS = 3_000;
/** A bad link: what each chunk takes, each way, in pieces of 7 bytes. A new connection, a request and a reply: 4 times. */
const LINK = { delayMs: 60, jitterMs: 40, sliceBytes: 7 };

const COLD = Array.from({ length: 8 }, (_, index) => `cold-${String(index)}`);
const clock = createSystemClock();

let bed: UpstreamBed;
let redis: Redis;
let slow: ScriptedIdentityProvider;
let proxies: FaultProxy[];
/** Where nobody listens: an issuer that comes later. */
let absentIssuer: string;

beforeAll(async () => {
  slow = await startScriptedIdentityProvider(() => ({
    delayMs: SLOW_MS,
    body: { access_token: 'slow', token_type: 'Bearer', expires_in: 600 },
  }));
  const absent = await startIdentityProvider({ clients: [] });
  await absent.stop();
  absentIssuer = absent.issuer;
  proxies = [];
  bed = await startUpstreamBed({
    async sources(idp) {
      const { hostname: host, port } = new URL(idp.issuer);
      const limits = { timeout: `${String(TIMEOUT_MS)}ms`, lockTime: `${String(LOCK_MS)}ms` };
      const behindProxy = async () => {
        const proxy = await startFaultProxy({ host, port: Number(port) });
        proxies.push(proxy);
        return { ...limits, tokenEndpoint: `http://${proxy.host}:${String(proxy.port)}/token` };
      };
      return {
        hanging: limits,
        undiscovered: { ...limits, issuer: absentIssuer },
        slow: { tokenEndpoint: slow.tokenEndpoint, timeout: '20s' },
        stalling: await behindProxy(),
        resetting: await behindProxy(),
        poor: { ...(await behindProxy()), timeout: '10s' },
        ...Object.fromEntries(COLD.map((name) => [name, {}])),
      };
    },
  });
  redis = new Redis({ host: bed.stack.redis.host, port: bed.stack.redis.port });
});
afterAll(async () => {
  redis.disconnect();
  await Promise.all([bed.stack.stop(), slow.stop(), ...proxies.map((proxy) => proxy.stop())]);
});

function proxyOf(source: 'stalling' | 'resetting' | 'poor'): FaultProxy {
  const proxy = proxies[['stalling', 'resetting', 'poor'].indexOf(source)];
  if (proxy === undefined) throw new Error('the proxies are not started');
  return proxy;
}

async function timed<T>(work: Promise<T>): Promise<{ readonly value: T; readonly tookMs: number }> {
  const startedAtMs = clock.elapsedMs();
  const value = await work;
  return { value, tookMs: clock.elapsedMs() - startedAtMs };
}

interface Refused {
  readonly failure: Failure;
  readonly askedAtMs: number;
  readonly tookMs: number;
}

/** Many callers, of all replicas, are refused alike. */
async function refusedAlike(source: string): Promise<Refused> {
  const askedAtMs = clock.elapsedMs();
  const { value, tookMs } = await timed(Promise.all(MANY.map(() => bed.ops.refusal(bed.get(source)))));
  expect(new Set(value.map(({ code }) => code)).size).toBe(1);
  const [failure] = value;
  if (failure === undefined) throw new Error('nobody was answered');
  return { failure, askedAtMs, tookMs };
}

/** The next call is made when the pause is over, and not before; nobody waits for the end of a lock. */
async function expectRecovery(source: string, { failure, askedAtMs }: Refused, failedAfterMs = 0): Promise<void> {
  const { retryAfterMs = 0 } = failure;
  expect(retryAfterMs).toBeGreaterThan(0);
  expect(retryAfterMs).toBeLessThanOrEqual(FIRST_PAUSE_MS);
  const { tookMs } = await timed(
    eventually(async () => 'accessToken' in (await bed.ops.answer(bed.get(source))), {
      what: 'a token after the pause',
      withinMs: LOCK_MS,
    }),
  );
  expect(clock.elapsedMs()).toBeGreaterThanOrEqual(askedAtMs + failedAfterMs + retryAfterMs - 1);
  expect(tookMs).toBeLessThan(FIRST_PAUSE_MS + ANSWERED_WITHIN_MS);
}

const recordsOf = (source: string): Promise<string[]> => redis.keys(`*:record:${slotOf(source)}`);

describe('an identity provider that does not answer', () => {
  it('F27: hangs: IDP_TIMEOUT in time for everybody, one call, lock and flight are free after its pause', async () => {
    bed.stack.idp.setHanging(true);
    const refused = await refusedAlike('hanging');
    bed.stack.idp.setHanging(false);
    expect(refused.failure.code).toBe('IDP_TIMEOUT');
    expect(refused.tookMs).toBeGreaterThanOrEqual(TIMEOUT_MS - 1);
    expect(refused.tookMs).toBeLessThan(TIMEOUT_MS + ANSWERED_WITHIN_MS);
    expect(bed.callsFor('hanging')).toBe(1);
    await expectRecovery('hanging', refused, TIMEOUT_MS);
    expect(bed.callsFor('hanging')).toBe(2);
  });

  it('F27: falls silent in the middle of its reply: the same, and what had come is not stored', async () => {
    const proxy = proxyOf('stalling');
    proxy.when('toClient', 'access_token', () => {
      proxy.faults.toClient.hold = true;
    });
    const refused = await refusedAlike('stalling');
    expect(refused.failure.code).toBe('IDP_TIMEOUT');
    expect(refused.tookMs).toBeLessThan(TIMEOUT_MS + ANSWERED_WITHIN_MS);
    expect(bed.callsFor('stalling')).toBe(1);
    expect(await recordsOf('stalling')).toEqual([]);
    proxy.mend();
    await expectRecovery('stalling', refused, TIMEOUT_MS);
    expect(bed.callsFor('stalling')).toBe(2);
    expect(await recordsOf('stalling')).toHaveLength(1);
  });

  it('F30: resets in the middle of its reply: IDP_UNAVAILABLE at once, no commit, and the next call is fine', async () => {
    const proxy = proxyOf('resetting');
    proxy.when('toClient', 'expires_in', () => {
      proxy.reset();
    });
    const issued = bed.stack.idp.counts().tokensIssued;
    const refused = await refusedAlike('resetting');
    expect(refused.failure.code).toBe('IDP_UNAVAILABLE');
    expect(refused.tookMs).toBeLessThan(ANSWERED_WITHIN_MS);
    // The provider has issued a token, but nobody has all of it; and nobody has asked twice.
    expect(bed.stack.idp.counts().tokensIssued).toBe(issued + 1);
    expect(bed.callsFor('resetting')).toBe(1);
    expect(await recordsOf('resetting')).toEqual([]);
    await expectRecovery('resetting', refused);
    expect(bed.callsFor('resetting')).toBe(2);
    expect(await recordsOf('resetting')).toHaveLength(1);
  });

  it('is away when its metadata is asked for: IDP_UNAVAILABLE, and found when it has come, without a restart', async () => {
    const refused = await refusedAlike('undiscovered');
    expect(refused.failure.code).toBe('IDP_UNAVAILABLE');
    const idp = await startIdentityProvider({
      port: Number(new URL(absentIssuer).port),
      clients: [{ clientId: CLIENT_ID, clientSecret: CLIENT_SECRET, scopes: ['payments:read', 'payments:write'] }],
    });
    try {
      await expectRecovery('undiscovered', refused);
      expect(idp.counts().tokenRequests).toBe(1);
    } finally {
      await idp.stop();
    }
  });
});

describe('an identity provider that is slow', () => {
  it('is behind a link with delay, jitter and bytes in small pieces: one call, one token', async () => {
    Object.assign(proxyOf('poor').faults.toServer, LINK);
    Object.assign(proxyOf('poor').faults.toClient, LINK);
    const { value, tookMs } = await timed(Promise.all(MANY.map(() => bed.ops.token(bed.get('poor')))));
    expect(tookMs).toBeGreaterThanOrEqual(2 * LINK.delayMs);
    expect(new Set(value.map(({ accessToken }) => accessToken)).size).toBe(1);
    expect(bed.callsFor('poor')).toBe(1);
  });

  it('K7: takes 30 s, scaled, for one key: no other key waits for it, cold or warm, nor in the same near cache', async () => {
    const client = await bed.stack.client('ops');
    let slowEnded = false;
    const waiting = Promise.all([
      client.source('slow').get(),
      ...MANY.map(() => bed.ops.token(bed.get('slow'))),
    ]).finally(() => {
      slowEnded = true;
    });
    waiting.catch(() => undefined);
    await eventually(() => slow.requests.length > 0, { what: 'the slow call to be under way' });
    const [ofClient, ...others] = await Promise.all([
      timed(client.source('cold-0').get()),
      ...COLD.map((source) => timed(bed.ops.token(bed.get(source)))),
    ]);
    const warm = await Promise.all(COLD.map((source) => timed(bed.ops.token(bed.get(source)))));
    expect(slowEnded).toBe(false);
    for (const { tookMs } of [ofClient, ...others, ...warm]) expect(tookMs).toBeLessThan(OTHERS_ANSWERED_WITHIN_MS);
    await waiting;
    expect(slow.requests).toHaveLength(1);
  });
});
