import { ok, Redacted } from '@token-broker/foundation';
import type { OAuth2SourceConfiguration } from '@token-broker/configuration';
import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { configurationOf, FakeCluster, sourceOf, type Replica, type Reply } from '../fakes/fake-cluster.js';
import { issued, refused, type Issue } from '../fakes/fake-provider.js';
import { away } from '../fakes/fake-store.js';
import type { ProviderRequest } from '../ports/provider.js';

let clock: VirtualClock;
let cluster: FakeCluster;
let upstream: RotatingProvider;

/** An identity provider that takes each refresh token once, and ends the family when one comes a second time. */
class RotatingProvider {
  readonly spent: string[] = [];
  /** The token that would be taken. */
  good = 'seed-0';
  rotates = true;
  isOver = false;

  answer(call: number, { refreshToken }: ProviderRequest): Issue {
    const token = refreshToken?.reveal() ?? 'none';
    this.spent.push(token);
    if (this.isOver || token !== this.good) {
      this.isOver = true;
      return refused('REAUTH_REQUIRED', undefined, { refused: 'refresh-token' });
    }
    if (!this.rotates) return issued(`token-${String(call)}`, 60_000);
    this.good = `successor-${String(call)}`;
    return issued(`token-${String(call)}`, 60_000, { refreshToken: new Redacted(this.good) });
  }
}

beforeEach(() => {
  clock = new VirtualClock();
  cluster = new FakeCluster(clock, new SeededRandom(5));
  upstream = new RotatingProvider();
  cluster.idp.answer = (call, request) => upstream.answer(call, request);
});

function configurationWith(change: Partial<OAuth2SourceConfiguration> = {}): ReturnType<typeof configurationOf> {
  const source = sourceOf({ grant: { kind: 'refresh_token' }, ...change });
  const grants = new Map([['payments-api', { scopes: 'any', audiences: 'any' }]] as const);
  const orders = { name: 'orders', grants, admin: false, clientIds: ['orders'] };
  return configurationOf({
    sources: new Map([['payments-api', source]]),
    callers: new Map([...configurationOf().callers, ['orders', orders]]),
  });
}

async function ended<T>(work: Promise<T>, ms = 15_000): Promise<T> {
  await clock.advance(ms);
  return work;
}

function seed(replica: Replica, refreshToken = 'seed-0'): Promise<Reply> {
  const request = { verb: 'admin', caller: 'ops', target: 'refresh-token' } as const;
  return ended(replica.ask(request, { source: 'payments-api', refreshToken }), 100);
}

async function revokeAll(replica: Replica): Promise<void> {
  const order = { selector: { source: 'payments-api' }, reason: 'a test' };
  await ended(replica.ask({ verb: 'admin', caller: 'ops', target: 'revoke' }, order));
}

describe('a source whose grant spends refresh tokens', () => {
  it('asks for an operator, and calls nobody, until one is there; then it goes on at once', async () => {
    const one = await cluster.start(configurationWith());
    expect((await ended(one.get(), 100)).error).toMatchObject({ code: 'REAUTH_REQUIRED' });
    expect(upstream.spent).toEqual([]);
    expect(await seed(one)).toMatchObject({ source: 'payments-api', sequence: 0, replaced: false });
    expect(await ended(one.get(), 100)).toMatchObject({ accessToken: 'token-1' });
    expect(JSON.stringify([one.log.lines, one.metrics.calls])).not.toContain('seed-0');
  });

  it('spends each refresh token once, whichever replica fetches', async () => {
    const replicas = [await cluster.start(configurationWith()), await cluster.start(configurationWith())] as const;
    await seed(replicas[0]);
    for (const replica of [...replicas, ...replicas]) {
      await ended(replica.get());
      await revokeAll(replica);
    }
    expect(upstream.spent).toEqual(['seed-0', 'successor-1', 'successor-2', 'successor-3']);
  });

  it('spends one after the other for tokens of several scopes that are wanted at one moment', async () => {
    const replicas = [await cluster.start(configurationWith()), await cluster.start(configurationWith())];
    await seed(replicas[0] ?? (await cluster.start()));
    cluster.idp.tookMs = 200;
    const gets = ['a', 'b', 'c', 'd'].flatMap((scope) => replicas.map((replica) => replica.get({ scope })));
    const replies = await ended(Promise.all(gets), 30_000);
    expect(replies.map(({ error }) => error)).toEqual(replies.map(() => undefined));
    expect(cluster.idp.mostAtOnce).toBe(1);
    expect(upstream.spent).toHaveLength(4);
    expect(upstream.isOver).toBe(false);
  });

  it('keeps the refresh token when no successor comes', async () => {
    upstream.rotates = false;
    const one = await cluster.start(configurationWith());
    await seed(one);
    await ended(one.get());
    await revokeAll(one);
    await ended(one.get());
    expect(upstream.spent).toEqual(['seed-0', 'seed-0']);
  });

  it('keeps the successor also when the access token is refused', async () => {
    const one = await cluster.start(configurationWith());
    await seed(one);
    cluster.idp.answer = (call, request) => {
      const reply = upstream.answer(call, request);
      const successor = reply.ok ? reply.value.refreshToken : undefined;
      return refused('IDP_DENIED', undefined, successor === undefined ? {} : { refreshToken: successor });
    };
    expect((await ended(one.get(), 100)).error).toMatchObject({ code: 'IDP_DENIED' });
    cluster.idp.answer = (call, request) => upstream.answer(call, request);
    await clock.advance(1_000);
    expect(await ended(one.get())).toMatchObject({ accessToken: 'token-2' });
    expect(upstream.spent).toEqual(['seed-0', 'successor-1']);
  });

  it('spends it again after a call that failed', async () => {
    const one = await cluster.start(configurationWith());
    await seed(one);
    cluster.idp.answer = () => refused('IDP_UNAVAILABLE');
    await ended(one.get(), 100);
    cluster.idp.answer = (call, request) => upstream.answer(call, request);
    await clock.advance(1_000);
    expect(await ended(one.get())).toMatchObject({ accessToken: 'token-2' });
  });
});

describe('a refresh token that the provider refuses', () => {
  it('ends the family everywhere: its access tokens die, nobody calls again, and an operator can see it', async () => {
    const [one, two] = [await cluster.start(configurationWith()), await cluster.start(configurationWith())];
    await seed(one);
    expect(await ended(one.get({ scope: 'a' }), 100)).toMatchObject({ accessToken: 'token-1' });
    expect(await ended(two.get({ scope: 'a' }), 100)).toMatchObject({ accessToken: 'token-1' });
    // Somebody else has come by it, and used it.
    upstream.isOver = true;
    expect((await ended(two.get({ scope: 'b' }))).error).toMatchObject({ code: 'REAUTH_REQUIRED' });
    for (const replica of [one, two])
      expect((await ended(replica.get({ scope: 'a' }))).error).toMatchObject({ code: 'REAUTH_REQUIRED' });
    expect(cluster.idp.calls).toBe(2);
    const status = await ended(one.ask({ verb: 'admin', caller: 'ops', target: 'status' }, {}));
    expect(status['sources']).toMatchObject([{ refreshToken: { state: 'exhausted' } }]);
    expect(two.audit.of('refresh-token.refused')).toMatchObject([{ source: 'payments-api', result: 'refused' }]);
  });

  it('is followed by another one that an operator puts there', async () => {
    const one = await cluster.start(configurationWith());
    await seed(one);
    upstream.isOver = true;
    await ended(one.get());
    Object.assign(upstream, { isOver: false, good: 'seed-1' });
    expect(await seed(one, 'seed-1')).toMatchObject({ replaced: true });
    expect(await ended(one.get())).toMatchObject({ accessToken: 'token-2' });
    expect((await seed(one, 'seed-0')).error).toMatchObject({ code: 'BAD_REQUEST' });
  });

  it.each([50, 3_000])(
    'is no end where the journal has a later one: that one is spent, after %i ms',
    async (tookMs) => {
      const one = await cluster.start(configurationWith());
      await seed(one);
      cluster.idp.answer = (call, request) => {
        if (call > 1) return upstream.answer(call, request);
        // While this call was in the air, an operator has put another one there.
        void seed(one, 'seed-1');
        upstream.good = 'seed-1';
        return refused('REAUTH_REQUIRED', undefined, { refused: 'refresh-token' });
      };
      cluster.idp.tookMs = tookMs;
      expect(await ended(one.get())).toMatchObject({ accessToken: 'token-2' });
      expect(upstream.spent).toEqual(['seed-1']);
    },
  );

  it('is cut off by whoever sees it, where the one that found out died before it could', async () => {
    const [one, two] = [await cluster.start(configurationWith()), await cluster.start(configurationWith())];
    await seed(one);
    await ended(one.get({ scope: 'a' }), 100);
    await ended(two.get({ scope: 'a' }), 100);
    upstream.isOver = true;
    one.store.wire = away('revoke', 'presence');
    await ended(one.get({ scope: 'b' }), 100);
    expect(await ended(two.get({ scope: 'a' }), 100)).toMatchObject({ accessToken: 'token-1' });
    expect((await ended(two.get({ scope: 'c' }))).error).toMatchObject({ code: 'REAUTH_REQUIRED' });
    expect((await ended(two.get({ scope: 'a' }))).error).toMatchObject({ code: 'REAUTH_REQUIRED' });
  });
});

describe('when Redis does not answer', () => {
  it('gets a successor into the journal as soon as it does: it is not lost', async () => {
    const [one, two] = [await cluster.start(configurationWith()), await cluster.start(configurationWith())];
    await seed(one);
    one.journal.wire = away('journalSucceed', 'succeed');
    const got = one.get();
    await clock.advance(3_000);
    expect((await got).error).toMatchObject({ code: 'STORE_UNAVAILABLE' });
    one.journal.wire = {};
    await clock.advance(1_000);
    expect(await ended(two.get(), 30_000)).toMatchObject({ accessToken: 'token-2' });
    expect(upstream.spent).toEqual(['seed-0', 'successor-1']);
  });
});

it('refuses to give a refresh token to a source that spends none, or that there is not', async () => {
  const one = await cluster.start(configurationOf());
  expect((await seed(one)).error).toMatchObject({ code: 'BAD_REQUEST' });
  const request = { verb: 'admin', caller: 'ops', target: 'refresh-token' } as const;
  const reply = await ended(one.ask(request, { source: 'nowhere', refreshToken: 'x' }));
  expect(reply.error).toMatchObject({ code: 'UNKNOWN_SOURCE' });
  expect(
    (await ended(one.ask({ ...request, caller: 'orders' }, { source: 'payments-api', refreshToken: 'x' }))).error,
  ).toMatchObject({ code: 'FORBIDDEN' });
});

describe('a revocation that takes tokens back at the provider too', () => {
  const order = { selector: { source: 'payments-api' }, reason: 'leaked', atProvider: true };

  it('reports what became of each', async () => {
    const one = await cluster.start(configurationWith());
    await seed(one);
    for (const scope of ['a', 'b', 'c']) await ended(one.get({ scope }), 1_000);
    const reply = await ended(one.ask({ verb: 'admin', caller: 'ops', target: 'revoke' }, order));
    expect(reply).toMatchObject({
      complete: true,
      slots: 3,
      provider: { asked: 3, revoked: 3, unsupported: 0, failed: 0 },
    });
    expect([...cluster.idp.takenBack].sort()).toEqual(['token-1', 'token-2', 'token-3']);
  });

  it('counts as failed what the provider refuses, and has revoked it all the same', async () => {
    const one = await cluster.start(configurationWith());
    await seed(one);
    cluster.idp.revoking = (token) =>
      token === 'token-1' ? { ok: false, error: { code: 'IDP_DENIED', message: '', detail: '' } } : ok('unsupported');
    for (const scope of ['a', 'b']) await ended(one.get({ scope }), 1_000);
    const reply = await ended(one.ask({ verb: 'admin', caller: 'ops', target: 'revoke' }, order));
    expect(reply).toMatchObject({ complete: true, provider: { asked: 2, revoked: 0, unsupported: 1, failed: 1 } });
  });
});

it('is spent by another replica when the first one cannot open it: that is no failure of those who wait', async () => {
  const sealing = (id: string, fill: number) => ({ id, secret: new Redacted(new Uint8Array(32).fill(fill)) });
  const one = await cluster.start(configurationWith());
  const configuration = configurationWith();
  const two = await cluster.start({ ...configuration, encryption: { keys: [sealing('k2', 2), sealing('k1', 1)] } });
  await seed(two);
  const [first, second] = [one.get(), two.get()];
  expect((await ended(first)).error).toMatchObject({ code: 'STORE_UNAVAILABLE' });
  expect(await second).toMatchObject({ accessToken: 'token-1' });
});
