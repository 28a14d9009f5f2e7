import { err, ok, Redacted } from '@token-broker/foundation';
import { VirtualClock } from '@token-broker/testing';
import { describe, expect, it, vi } from 'vitest';
import type {
  IssuedToken,
  Provider,
  ProviderCall,
  ProviderFailure,
  ProviderImplementation,
} from '../../app/ports/provider.js';
import { silentLog } from './fakes/silent-log.js';
import { guardedProvider } from './guarded-provider.js';

const SECRET = 'canary-of-the-source';
const TIMEOUT_MS = 1_000;
const REQUEST = { scopes: [] };
const issued: IssuedToken = { accessToken: new Redacted('token'), tokenType: 'Bearer', lifeMs: 60_000 };

function guarded(
  implementation: ProviderImplementation | (() => Promise<ProviderImplementation>),
  { clock = new VirtualClock(), canRevoke = true } = {},
): Provider {
  return guardedProvider({
    source: { name: 'payments-api', timeoutMs: TIMEOUT_MS },
    clientId: 'payments',
    secrets: [new Redacted(SECRET)],
    capabilities: {
      ...{ canRevoke, mayRotate: false, longestLifeMs: 3_600_000 },
      ...{ callsUpstream: true, needsRefresher: true, takesParameters: true },
    },
    load: typeof implementation === 'function' ? implementation : () => Promise.resolve(implementation),
    clock,
    log: silentLog,
  });
}

const issuing = (change: Partial<IssuedToken>): Provider =>
  guarded({ fetch: () => Promise.resolve(ok({ ...issued, ...change })) });

async function failureOf(provider: Provider): Promise<ProviderFailure> {
  const end = await provider.fetch(REQUEST);
  if (end.ok) throw new Error('it did not fail');
  return end.error;
}

describe('a call', () => {
  it('ends at the timeout of the source, and tells the implementation that nobody waits any more', async () => {
    const clock = new VirtualClock();
    let call: ProviderCall | undefined;
    const provider = guarded({ fetch: (_, given) => ((call = given), new Promise(() => undefined)) }, { clock });
    const running = provider.fetch(REQUEST);
    await clock.advance(TIMEOUT_MS - 1);
    expect(call?.signal.aborted).toBe(false);
    await clock.advance(1);
    expect(await running).toMatchObject({ ok: false, error: { code: 'IDP_TIMEOUT' } });
    expect(call?.signal.aborted).toBe(true);
  });

  it('ends in time also while the code is loading', async () => {
    const clock = new VirtualClock();
    const provider = guarded(() => new Promise(() => undefined), { clock });
    const running = provider.fetch(REQUEST);
    await clock.advance(TIMEOUT_MS);
    expect(await running).toMatchObject({ ok: false, error: { code: 'IDP_TIMEOUT' } });
  });

  it.each([
    ['rejects', () => Promise.reject(new Error(`a bug with ${SECRET}`))],
    [
      'throws',
      () => {
        throw new TypeError(`a bug with ${SECRET}`);
      },
    ],
  ])('of an implementation that %s is a failure without its secrets', async (_, fetch) => {
    const { code, message, detail } = await failureOf(guarded({ fetch }));
    expect([code, message, detail]).toEqual(['IDP_PROTOCOL', 'the provider broke down', 'a bug with <redacted>']);
  });

  it('is a failure when the code cannot be loaded', async () => {
    const provider = guarded(() => Promise.reject(new Error('Cannot find package "sdk"')));
    expect(await provider.fetch(REQUEST)).toEqual(
      err({
        code: 'IDP_UNAVAILABLE',
        message: "the provider's code could not be loaded",
        detail: 'Cannot find package "sdk"',
      }),
    );
    await provider.close();
  });
});

describe('what is issued', () => {
  it.each<[string, Partial<IssuedToken>]>([
    ['an empty token', { accessToken: new Redacted('') }],
    ['a token that is too long', { accessToken: new Redacted('x'.repeat(64 * 1024 + 1)) }],
    ['a line break in a token', { accessToken: new Redacted('a\r\nb'), tokenType: 'password' }],
    ['a bearer token with a space', { accessToken: new Redacted('a b') }],
    ['a type of two words', { tokenType: 'Bearer or not' }],
    ['no life', { lifeMs: 0 }],
    ['a life that is no number', { lifeMs: Number.NaN }],
    ['a life without an end', { lifeMs: Number.POSITIVE_INFINITY }],
    ['an empty user name', { username: '' }],
    ['a line break in a user name', { username: 'a\nb' }],
    ['a user name that is too long', { username: 'x'.repeat(257) }],
    ['an empty handle', { revocationHandle: new Redacted('') }],
    ['a handle that is too long', { revocationHandle: new Redacted('x'.repeat(8 * 1024 + 1)) }],
  ])('is refused with %s', async (_, change) => {
    expect((await failureOf(issuing(change))).code).toBe('IDP_PROTOCOL');
  });

  it('may be a pass phrase of somebody, in any script', async () => {
    const change = { accessToken: new Redacted('zwölf Boxkämpfer'), tokenType: 'password', username: 'jürgen' };
    expect(await issuing(change).fetch(REQUEST)).toMatchObject({ ok: true, value: { username: 'jürgen' } });
  });

  it('lives no longer than a token of its provider can', async () => {
    expect(await issuing({ lifeMs: 3_600_001 }).fetch(REQUEST)).toMatchObject({
      ok: true,
      value: { lifeMs: 3_600_000 },
    });
  });

  it('keeps the successor of a refresh token also where all else is refused', async () => {
    const { refreshToken } = await failureOf(issuing({ lifeMs: 0, refreshToken: new Redacted('successor') }));
    expect(refreshToken?.reveal()).toBe('successor');
  });
});

describe('a failure', () => {
  const failing = (change: Partial<ProviderFailure>): Provider =>
    guarded({ fetch: () => Promise.resolve(err({ code: 'IDP_DENIED', message: 'no', detail: 'no', ...change })) });

  it('holds no secret of the source in any of its texts', async () => {
    const { message, detail } = await failureOf(failing({ message: `it said ${SECRET}`, detail: `so: ${SECRET}` }));
    expect([message, detail]).toEqual(['it said <redacted>', 'so: <redacted>']);
  });

  it('holds no token that a caller gave', async () => {
    const given = new Redacted('token-of-a-caller');
    const end = await failing({ message: 'not token-of-a-caller' }).fetch({ ...REQUEST, subjectToken: given });
    expect(end).toMatchObject({ ok: false, error: { message: 'not <redacted>' } });
  });

  it('holds no handle, when a token is taken back by one', async () => {
    const revocationHandle = new Redacted('canary-of-a-lease');
    const revoke: ProviderImplementation['revoke'] = (_, call) =>
      Promise.resolve(
        err({ code: 'IDP_DENIED', message: 'no', detail: `not ${call.revocationHandle?.reveal() ?? ''}` }),
      );
    const provider = guarded({ fetch: () => Promise.resolve(ok(issued)), revoke });
    expect(await provider.revoke(new Redacted('token'), revocationHandle)).toMatchObject({
      ok: false,
      error: { detail: 'not <redacted>' },
    });
  });

  it('has a code of the table, and a pause that makes sense', async () => {
    const odd = 'EVERYTHING_IS_FINE' as ProviderFailure['code'];
    expect(await failureOf(failing({ code: odd, retryAfterMs: -1 }))).toEqual({
      code: 'IDP_PROTOCOL',
      message: 'no',
      detail: 'no',
    });
    expect((await failureOf(failing({ retryAfterMs: 1e12 }))).retryAfterMs).toBe(86_400_000);
  });
});

describe('what an implementation does not have', () => {
  it('is said to be unsupported', async () => {
    const provider = issuing({});
    expect(await provider.revoke(new Redacted('token'))).toEqual(ok('unsupported'));
    expect(await provider.readSubject(new Redacted('token'))).toEqual(ok(undefined));
    await provider.close();
  });

  it('is not asked for where its capabilities say that it cannot', async () => {
    const revoke = vi.fn(() => Promise.resolve(ok('revoked' as const)));
    const provider = guarded({ fetch: () => Promise.resolve(ok(issued)), revoke }, { canRevoke: false });
    expect(await provider.revoke(new Redacted('token'))).toEqual(ok('unsupported'));
    expect(revoke).not.toHaveBeenCalled();
  });
});

describe('loading', () => {
  it('is tried again by the next call when it failed', async () => {
    let tries = 0;
    const implementation = { fetch: () => Promise.resolve(ok(issued)) };
    const provider = guarded(() => (++tries === 1 ? Promise.reject(new Error('no')) : Promise.resolve(implementation)));
    expect((await failureOf(provider)).code).toBe('IDP_UNAVAILABLE');
    expect(await provider.fetch(REQUEST)).toEqual(ok(issued));
    await provider.fetch(REQUEST);
    expect(tries).toBe(2);
  });
});

describe('closing', () => {
  it('does not wait for ever for code that never loads', async () => {
    const clock = new VirtualClock();
    const closed = guarded(() => new Promise(() => undefined), { clock }).close();
    await clock.advance(TIMEOUT_MS);
    await closed;
  });

  it('closes the implementation also while its code is being loaded', async () => {
    let load: (implementation: ProviderImplementation) => void = () => undefined;
    const provider = guarded(() => new Promise((resolve) => (load = resolve)));
    const close = vi.fn(() => Promise.resolve());
    const closed = provider.close();
    load({ fetch: () => Promise.resolve(ok(issued)), close });
    await closed;
    expect(close).toHaveBeenCalledOnce();
  });

  it('waits no longer than a call may take, and survives an implementation that cannot', async () => {
    const clock = new VirtualClock();
    const fetch = () => Promise.resolve(ok(issued));
    const hanging = guarded({ fetch, close: () => new Promise(() => undefined) }, { clock });
    const closed = hanging.close();
    await clock.advance(TIMEOUT_MS);
    await closed;
    await guarded({ fetch, close: () => Promise.reject(new Error('no')) }).close();
  });
});
