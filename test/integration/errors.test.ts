import { createSystemClock } from '@token-broker/foundation';
import { ERRORS, type ErrorCode, type Failure } from '@token-broker/protocol';
import { eventually, type FailureReply } from '@token-broker/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRawCaller, subjects, type RawCaller } from './raw-caller.js';
import { sourceSettings, startStack, type Settings, type Stack } from './stack.js';

/** What a provider says in its own words: it must never reach a caller. */
const IDP_WORDS = 'canary-words of the provider';
const REPLICAS = 3;
const clock = createSystemClock();
/** Requests enough to reach every replica. */
const MANY = Array.from({ length: 12 });

let stack: Stack;
let ops: RawCaller;

/** One source for each test, so that no pause of one is felt by another. */
const SOURCES = ['refused', 'unreachable', 'storeless', 'once', 'paused', 'waiting', 'denied', 'together', 'renewed'];

beforeAll(async () => {
  stack = await startStack({
    brokers: REPLICAS,
    tokenLifeSeconds: 5,
    configure: (settings, idp) => ({
      ...settings,
      redis: { ...(settings['redis'] as Settings), commandTimeout: '500ms' },
      sources: {
        ...(settings['sources'] as Settings),
        ...Object.fromEntries(
          SOURCES.map((name) => [
            name,
            sourceSettings(idp, { refresh: { ahead: name === 'renewed' ? '80%' : 'off' }, timeout: '2s' }),
          ]),
        ),
        misconfigured: sourceSettings(idp, { clientSecret: 'canary-wrong-secret' }),
      },
    }),
  });
  ops = createRawCaller(await stack.connectAs('ops'), 'ops');
});
afterAll(() => stack.stop());

const get = (source: string): string => subjects.get('ops', source);

function refusing(status: number, error: string, headers: Readonly<Record<string, string>> = {}): FailureReply {
  return {
    status,
    headers,
    body: JSON.stringify({ error, error_description: IDP_WORDS, error_uri: `https://${IDP_WORDS}` }),
  };
}

async function callsDuring<T>(work: () => Promise<T>): Promise<{ readonly calls: number; readonly value: T }> {
  const before = stack.idpCalls();
  const value = await work();
  return { calls: stack.idpCalls() - before, value };
}

describe('R2: an error of the provider', () => {
  it.each([
    ['a refusal', 'once', refusing(400, 'invalid_scope'), 'IDP_DENIED'],
    ['a wrong secret', 'denied', refusing(401, 'invalid_client'), 'IDP_DENIED'],
    ['a fault', 'paused', refusing(503, 'temporarily_unavailable'), 'IDP_UNAVAILABLE'],
    ['a limit', 'waiting', refusing(429, 'slow_down', { 'retry-after': '1' }), 'QUOTA_EXHAUSTED'],
  ] as const)(
    '%s makes one call, is shared by all replicas for its pause, and is no success afterwards',
    async (_, source, reply, code) => {
      stack.idp.failNext(1, reply);
      const sentAtMs = clock.elapsedMs();
      const first = await callsDuring(() => ops.refusal(get(source)));
      expect(first.calls).toBe(1);
      const { retryAfterMs = 0 } = first.value;
      expect(retryAfterMs).toBeGreaterThan(0);
      expect(retryAfterMs).toBeLessThanOrEqual(1_000);

      // The provider has recovered. Until the pause is over nobody asks it, whichever replica is asked.
      const refusals: { readonly code: ErrorCode; readonly message: string }[] = [];
      const recovery = await callsDuring(() =>
        eventually(
          async () => {
            const replies = await Promise.all(MANY.map(() => ops.answer(get(source))));
            refusals.push(...replies.flatMap((answer) => ('error' in answer ? [answer.error] : [])));
            return replies.some((answer) => 'accessToken' in answer);
          },
          { what: 'a token after the pause' },
        ),
      );
      expect(clock.elapsedMs() - sentAtMs).toBeGreaterThanOrEqual(retryAfterMs);
      expect(recovery.calls).toBe(1);
      expect(refusals.length).toBeGreaterThan(0);
      for (const refusal of [first.value, ...refusals]) {
        expect(refusal).toMatchObject({ code });
        expect(refusal.message).not.toContain('canary');
      }
    },
  );

  it('reaches every caller that waits for the same flight, at the price of one call', async () => {
    stack.idp.setDelay(200);
    stack.idp.failNext(1, refusing(500, 'server_error'));
    const { calls, value } = await callsDuring(() => Promise.all(MANY.map(() => ops.refusal(get('together')))));
    stack.idp.setDelay(0);
    expect(calls).toBe(1);
    expect(new Set(value.map(({ code }) => code))).toEqual(new Set(['IDP_UNAVAILABLE']));
  });

  it('pauses grow while the failure lasts, so that an outage costs few calls', async () => {
    const { calls } = await callsDuring(async () => {
      stack.idp.failNext(100, refusing(500, 'server_error'));
      const pauses: number[] = [];
      await eventually(
        async () => {
          pauses.push((await ops.refusal(get('refused'))).retryAfterMs ?? 0);
          return Math.max(...pauses) > 1_000;
        },
        { what: 'a pause of more than a second', withinMs: 10_000, everyMs: 20 },
      );
      expect(pauses.length).toBeGreaterThan(10);
    });
    stack.idp.failNext(0);
    expect(calls).toBeGreaterThanOrEqual(2);
    expect(calls).toBeLessThanOrEqual(5);
  });

  it('in a renewal is not felt while the token is good', async () => {
    const first = await ops.token(get('renewed'));
    stack.idp.failNext(1, refusing(500, 'server_error'));
    const before = stack.idpCalls();
    await eventually(() => stack.idpCalls() > before, { what: 'the renewal to fail' });
    for (const reply of await Promise.all(MANY.map(() => ops.token(get('renewed')))))
      expect(reply.generation).toBeGreaterThanOrEqual(first.generation);
    await eventually(async () => (await ops.token(get('renewed'))).generation > first.generation, {
      what: 'the renewal that succeeds',
    });
  });
});

describe('R1: what goes wrong', () => {
  const seen = new Map<string, Failure>();

  it('is told apart by the code: not found, denied, refused, unreachable, without a store', async () => {
    seen.set('not found', await ops.refusal(get('nowhere')));
    seen.set('denied by policy', await ops.refusal(get('refused'), JSON.stringify({ scope: 'admin:all' })));
    seen.set('refused', await ops.refusal(get('misconfigured')));
    const held = await ops.token(get('payments-api'));

    await stack.idp.stop();
    seen.set('unreachable', await ops.refusal(get('unreachable')));
    await stack.redis.kill('SIGKILL');
    seen.set('without a store', await ops.refusal(get('storeless')));

    const codes = Object.fromEntries([...seen].map(([what, { code }]) => [what, code]));
    expect(codes).toEqual({
      'not found': 'UNKNOWN_SOURCE',
      'denied by policy': 'FORBIDDEN',
      refused: 'IDP_DENIED',
      unreachable: 'IDP_UNAVAILABLE',
      'without a store': 'STORE_UNAVAILABLE',
    } satisfies Record<string, ErrorCode>);
    // Still served, by those replicas that hold it.
    expect(held.verified).toBe(true);
  });

  it('is told without the words of the provider, of Redis or of the network', () => {
    expect(seen.size).toBe(5);
    for (const { message } of seen.values())
      expect(message).not.toMatch(
        /canary|client authentication failed|[{}]|ECONNREFUSED|127\.0\.0\.1|localhost|:\d{4,5}|\bat \S+:\d+/,
      );
    const log = stack.logLines.join('');
    // Operators find the reason in the log.
    expect(log).toContain('ECONNREFUSED');
    expect(log).toContain(IDP_WORDS);
  });

  it('says whether trying again makes sense', () => {
    const retryable = Object.fromEntries([...seen].map(([what, { code }]) => [what, ERRORS[code].retryable]));
    expect(retryable).toEqual({
      'not found': false,
      'denied by policy': false,
      refused: false,
      unreachable: true,
      'without a store': true,
    });
  });

  it('becomes an error of that code in the client library', async () => {
    const client = await stack.client('ops');
    await expect(client.source('nowhere').get()).rejects.toMatchObject({
      name: 'TokenBrokerError',
      code: 'UNKNOWN_SOURCE',
      retryable: false,
    });
    await expect(client.source('storeless').get()).rejects.toMatchObject({
      name: 'TokenBrokerError',
      code: 'STORE_UNAVAILABLE',
      retryable: true,
    });
    await client.close();
  });
});
