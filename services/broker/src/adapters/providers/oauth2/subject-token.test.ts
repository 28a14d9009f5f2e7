import { createSystemClock, Redacted, type Clock } from '@token-broker/foundation';
import type { OAuth2SourceConfiguration, SubjectTokenConfiguration } from '@token-broker/configuration';
import { eventually, VirtualClock, type ScriptedIdentityProvider, type ScriptedReply } from '@token-broker/testing';
import { SignJWT, type JWK, type JWTPayload } from 'jose';
import { describe, expect, it } from 'vitest';
import {
  CALLER,
  createKey,
  endpointOf,
  failureOf,
  issuerOf,
  openProvider,
  startIdp,
  startScript,
  tokenOfCaller,
  valueOf,
  type TestKey,
} from '../fakes/oauth2-bed.js';
import type { OAuth2Provider } from './oauth2-provider.js';

const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
type Check = SubjectTokenConfiguration['check'];

function reader(
  settings: Partial<OAuth2SourceConfiguration>,
  check: Check,
  clock: Clock = createSystemClock(),
  ownerClaim = 'client_id',
): OAuth2Provider {
  const subjectToken = { type: ACCESS_TOKEN, actorType: ACCESS_TOKEN, check, ownerClaim };
  return openProvider({ grant: { kind: 'token_exchange' }, subjectToken, ...settings }, clock).provider;
}

const NOT_GOOD = { ok: true, value: undefined };

it('no token is good where the source takes none', async () => {
  const idp = await startScript(() => ({ status: 500 }));
  expect(await openProvider(issuerOf(idp)).provider.readSubject(new Redacted('token'))).toEqual(NOT_GOOD);
  expect(idp.requests).toHaveLength(0);
});

describe('a subject token, at a real identity provider', () => {
  it('is known to introspection, with its owner and the rest of its life, until it is revoked', async () => {
    const idp = await startIdp({ tokenLifeSeconds: 90 });
    const token = await tokenOfCaller(idp);
    const { introspectionEndpoint, tokenEndpoint } = idp;
    const configured = { endpoint: { kind: 'token-endpoint' as const, tokenEndpoint, introspectionEndpoint } };
    for (const endpoint of [issuerOf(idp), configured]) {
      const provider = reader(endpoint, { kind: 'introspection' });
      const subject = valueOf(await provider.readSubject(token));
      expect(subject?.owners).toEqual([CALLER.clientId]);
      expect(subject?.remainingMs).toBeGreaterThan(80_000);
      expect(subject?.remainingMs).toBeLessThanOrEqual(90_000);
      expect(await provider.readSubject(new Redacted('made-up'))).toEqual(NOT_GOOD);
    }
    expect(idp.introspection.requests()[0]?.form.get('token_type_hint')).toBe('access_token');
    const own = { clientId: CALLER.clientId, clientAuthentication: secretOf(CALLER.clientSecret) };
    expect(await openProvider({ ...issuerOf(idp), ...own }).provider.revoke(token)).toMatchObject({ ok: true });
    expect(await reader(issuerOf(idp), { kind: 'introspection' }).readSubject(token)).toEqual(NOT_GOOD);
  });

  it('is verified by the keys that its issuer publishes, which are read once', async () => {
    const audience = 'https://broker.example';
    const idp = await startIdp({ tokenFormat: 'jwt', tokenLifeSeconds: 90 });
    const token = await tokenOfCaller(idp, { resource: audience });
    const provider = reader(endpointOf(idp), { kind: 'jwt', issuer: idp.issuer, audience });
    for (const subject of [await provider.readSubject(token), await provider.readSubject(token)]) {
      expect(valueOf(subject)?.owners).toEqual([CALLER.clientId]);
      expect(valueOf(subject)?.remainingMs).toBeGreaterThan(80_000);
    }
    const { jwksUri, issuer } = idp;
    for (const check of [
      { kind: 'jwt' as const, issuer, jwksUri, audience: 'https://other.example' },
      { kind: 'jwt' as const, issuer: 'https://other.example', jwksUri },
    ]) {
      expect(await reader(endpointOf(idp), check).readSubject(token)).toEqual(NOT_GOOD);
    }
    const forged = token.reveal().replace(/\.[^.]+\./, `.${Buffer.from('{"client_id":"x"}').toString('base64url')}.`);
    expect(await provider.readSubject(new Redacted(forged))).toEqual(NOT_GOOD);
    expect(await provider.readSubject(new Redacted('opaque'))).toEqual(NOT_GOOD);
  });
});

function secretOf(secret: string) {
  return { kind: 'client_secret_basic' as const, clientSecret: new Redacted(secret) };
}

describe('introspection', () => {
  const read = async (reply: ScriptedReply, ownerClaim?: string) => {
    const idp = await startScript(() => reply);
    const endpoint = { ...endpointOf(idp).endpoint, introspectionEndpoint: `${idp.issuer}/introspect` };
    const provider = reader({ endpoint }, { kind: 'introspection' }, new VirtualClock(), ownerClaim);
    const outcome = await provider.readSubject(new Redacted('short, a token'));
    expect(idp.requests).toHaveLength(0);
    return { outcome, again: await provider.readSubject(new Redacted('short-token')), idp };
  };

  it.each<[string, Record<string, unknown>, string | undefined, readonly string[]]>([
    ['client_id', { client_id: 'orders', azp: 'other' }, undefined, ['orders']],
    ['azp, where there is no client_id', { azp: 'orders' }, undefined, ['orders']],
    ['another claim, and no azp in its place', { azp: 'orders' }, 'owner', []],
    ['a list', { owner: ['a', 'b', 7, '', null] }, 'owner', ['a', 'b']],
    ['what is no name', { client_id: { a: 1 } }, undefined, []],
  ])('names the owners by %s', async (_, claims, ownerClaim, owners) => {
    const { again } = await read({ body: { active: true, ...claims } }, ownerClaim);
    expect(again).toEqual({ ok: true, value: { owners } });
  });

  it('tells the rest of the life, which is never negative', async () => {
    const nowSeconds = Math.floor(new VirtualClock().wallMs() / 1_000);
    for (const [exp, remainingMs] of [
      [nowSeconds + 60, 60_000],
      [nowSeconds - 5, 0],
    ] as const) {
      const { again } = await read({ body: { active: true, client_id: 'orders', exp } });
      expect(valueOf(again)?.remainingMs).toBe(remainingMs);
    }
  });

  it.each<[string, ScriptedReply, object]>([
    ['503', { status: 503, headers: { 'retry-after': '4' } }, { code: 'IDP_UNAVAILABLE', retryAfterMs: 4_000 }],
    ['429', { status: 429 }, { code: 'QUOTA_EXHAUSTED' }],
    ['401', { status: 401 }, { code: 'IDP_DENIED', refused: 'credential' }],
    ['an error', { status: 400, body: { error: 'invalid_request' } }, { code: 'IDP_DENIED' }],
    ['a page', { headers: { 'content-type': 'text/html' }, body: '<html>' }, { code: 'IDP_PROTOCOL' }],
    ['no "active"', { body: { client_id: 'orders' } }, { code: 'IDP_PROTOCOL' }],
    ['an "active" that is text', { body: { active: 'true', client_id: 'orders' } }, { code: 'IDP_PROTOCOL' }],
    ['a redirect', { status: 302, headers: { location: '/login' } }, { code: 'IDP_PROTOCOL' }],
    ['a reset', { fault: 'reset-mid-body', body: '{"active":false}' }, { code: 'IDP_UNAVAILABLE' }],
  ])('is a failure, and says nothing of the token, at %s', async (_, reply, failure) => {
    const { outcome, again } = await read(reply);
    // A token with a blank in it is none, and is not asked about.
    expect(outcome).toEqual(NOT_GOOD);
    expect(failureOf(again)).toMatchObject(failure);
  });

  it('is a failure where there is no endpoint for it', async () => {
    const idp = await startScript(() => ({ status: 500 }));
    const provider = reader(endpointOf(idp), { kind: 'introspection' });
    expect(failureOf(await provider.readSubject(new Redacted('token')))).toMatchObject({
      code: 'IDP_PROTOCOL',
      message: 'the identity provider names no introspection endpoint',
    });
  });
});

describe('a signature', () => {
  const ISSUER = 'https://issuer.example';

  async function sign(key: TestKey, claims: JWTPayload, header: Record<string, unknown> = {}): Promise<Redacted> {
    const { algorithm: alg, keyId: kid } = key.signingKey;
    const token = new SignJWT({ iss: ISSUER, client_id: 'orders', ...claims });
    return new Redacted(await token.setProtectedHeader({ alg, kid: kid ?? '', ...header }).sign(key.privateKey));
  }

  interface KeysBed {
    readonly idp: ScriptedIdentityProvider;
    readonly clock: VirtualClock;
    readonly nowSeconds: number;
    readonly provider: OAuth2Provider;
    readonly publish: (reply: ScriptedReply | readonly JWK[]) => void;
  }

  async function startKeys(...keys: readonly JWK[]): Promise<KeysBed> {
    let reply: ScriptedReply = { body: { keys } };
    const idp = await startScript(() => reply);
    const clock = new VirtualClock();
    const check = { kind: 'jwt' as const, issuer: ISSUER, jwksUri: `${idp.issuer}/keys` };
    return {
      idp,
      clock,
      nowSeconds: Math.floor(clock.wallMs() / 1_000),
      provider: reader(endpointOf(idp), check, clock),
      publish(next) {
        reply = Array.isArray(next) ? { body: { keys: next } } : (next as ScriptedReply);
      },
    };
  }

  it.each(['RS256', 'PS512', 'ES256', 'ES512', 'EdDSA'] as const)('may be by %s', async (algorithm) => {
    const key = await createKey(algorithm, 'a');
    const { provider, nowSeconds } = await startKeys(key.publicKey);
    const token = await sign(key, { exp: nowSeconds + 60 });
    expect(valueOf(await provider.readSubject(token))).toEqual({ owners: ['orders'], remainingMs: 60_000 });
  });

  it('must be by a key that signs, not by one that anybody has', async () => {
    const key = await createKey('RS256', 'a');
    const secret = new TextEncoder().encode('a secret that the issuer has published');
    const k = Buffer.from(secret).toString('base64url');
    const { provider, nowSeconds } = await startKeys(key.publicKey, { kty: 'oct', k, kid: 'b', alg: 'HS256' });
    const claims = { iss: ISSUER, client_id: 'orders', exp: nowSeconds + 60 };
    const publicText = new TextEncoder().encode(JSON.stringify(key.publicKey));
    for (const [kid, hmac] of [
      ['a', publicText],
      ['b', secret],
    ] as const) {
      const token = await new SignJWT(claims).setProtectedHeader({ alg: 'HS256', kid }).sign(hmac);
      expect(await provider.readSubject(new Redacted(token))).toEqual(NOT_GOOD);
    }
    const [, body = ''] = (await sign(key, { exp: nowSeconds + 60 })).reveal().split('.');
    const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${body}.`;
    expect(await provider.readSubject(new Redacted(unsigned))).toEqual(NOT_GOOD);
  });

  it.each<[string, (nowSeconds: number) => JWTPayload, boolean]>([
    ['over for half a minute', (now) => ({ exp: now - 29 }), true],
    ['over for longer', (now) => ({ exp: now - 31 }), false],
    ['not good yet, by half a minute', (now) => ({ exp: now + 90, nbf: now + 29 }), true],
    ['not good for longer', (now) => ({ exp: now + 90, nbf: now + 31 }), false],
    ['without an end', () => ({}), false],
    ['with an end that is no number', () => ({ exp: '9999999999' as unknown as number }), false],
    ['of another issuer', (now) => ({ exp: now + 60, iss: `${ISSUER}/` }), false],
  ])('says nothing for a token that is %s, beyond the tolerance of clocks', async (_, claims, isGood) => {
    const key = await createKey('ES256', 'a');
    const { provider, nowSeconds } = await startKeys(key.publicKey);
    const subject = valueOf(await provider.readSubject(await sign(key, claims(nowSeconds))));
    expect(subject !== undefined).toBe(isGood);
    if (subject !== undefined) expect(subject.remainingMs).toBeGreaterThanOrEqual(0);
  });

  it('is tried with each key of its kind where it names none', async () => {
    const keys = [await createKey('ES256', 'a'), await createKey('ES256', 'b')];
    const { provider, nowSeconds } = await startKeys(...keys.map(({ publicKey }) => publicKey));
    for (const key of keys) {
      const token = await sign(key, { exp: nowSeconds + 60 }, { kid: undefined });
      expect(valueOf(await provider.readSubject(token))?.owners).toEqual(['orders']);
    }
    const stranger = await sign(await createKey('ES256', 'c'), { exp: nowSeconds + 60 }, { kid: undefined });
    expect(await provider.readSubject(stranger)).toEqual(NOT_GOOD);
  });

  it('by a key that is new makes the keys be read again, at most every 30 s', async () => {
    const [old, fresh, made] = [
      await createKey('ES256', 'old'),
      await createKey('ES256', 'new'),
      await createKey('ES256', 'up'),
    ];
    const { provider, idp, clock, nowSeconds, publish } = await startKeys(old.publicKey);
    const token = await sign(fresh, { exp: nowSeconds + 3_000 });
    expect(await provider.readSubject(await sign(old, { exp: nowSeconds + 60 }))).toMatchObject({ ok: true });
    publish([old.publicKey, fresh.publicKey]);
    // They were read this very moment.
    expect(await provider.readSubject(token)).toEqual(NOT_GOOD);
    expect(idp.requests).toHaveLength(1);
    await clock.advance(30_000);
    const both = [provider.readSubject(token), provider.readSubject(token)];
    expect((await Promise.all(both)).map((subject) => valueOf(subject)?.owners)).toEqual([['orders'], ['orders']]);
    expect(idp.requests).toHaveLength(2);
    const unknown = await sign(made, { exp: nowSeconds + 3_000 });
    for (let i = 0; i < 5; i++) expect(await provider.readSubject(unknown)).toEqual(NOT_GOOD);
    expect(idp.requests).toHaveLength(2);
  });

  it('by a key that was withdrawn is good for 15 minutes', async () => {
    const key = await createKey('ES256', 'a');
    const { provider, idp, clock, nowSeconds, publish } = await startKeys(key.publicKey);
    const token = await sign(key, { exp: nowSeconds + 3_000 });
    expect(valueOf(await provider.readSubject(token))?.owners).toEqual(['orders']);
    publish([]);
    await clock.advance(15 * 60_000 - 1);
    expect(valueOf(await provider.readSubject(token))?.owners).toEqual(['orders']);
    expect(idp.requests).toHaveLength(1);
    await clock.advance(1);
    expect(await provider.readSubject(token)).toEqual(NOT_GOOD);
    expect(idp.requests).toHaveLength(2);
  });

  it.each<[string, ScriptedReply, object]>([
    ['503', { status: 503, headers: { 'retry-after': '4' } }, { code: 'IDP_UNAVAILABLE', retryAfterMs: 4_000 }],
    ['a reset', { fault: 'reset-mid-body', body: '{"keys":[]}' }, { code: 'IDP_UNAVAILABLE' }],
    ['a page', { body: '<html>' }, { code: 'IDP_PROTOCOL' }],
    ['no keys', { body: { keys: 'none' } }, { code: 'IDP_PROTOCOL' }],
    ['404', { status: 404 }, { code: 'IDP_PROTOCOL' }],
    ['a redirect', { status: 302, headers: { location: '/elsewhere' } }, { code: 'IDP_PROTOCOL' }],
    ['more than 1 MiB', { body: { keys: [], x: 'x'.repeat(1 << 20) } }, { code: 'IDP_PROTOCOL' }],
    [
      'a key that is broken',
      { body: { keys: [{ kty: 'EC', crv: 'P-256', x: '!', y: '!', kid: 'a' }] } },
      { code: 'IDP_PROTOCOL' },
    ],
  ])(
    'cannot be judged when the keys cannot be read, which says nothing of the token: %s',
    async (_, reply, failure) => {
      const key = await createKey('ES256', 'a');
      const { provider, nowSeconds, publish } = await startKeys();
      const token = await sign(key, { exp: nowSeconds + 60 });
      publish(reply);
      expect(failureOf(await provider.readSubject(token))).toMatchObject(failure);
    },
  );

  it('by an unknown key cannot be judged either while the issuer is away', async () => {
    const [known, unknown] = [await createKey('ES256', 'a'), await createKey('ES256', 'b')];
    const { provider, idp, clock, nowSeconds, publish } = await startKeys(known.publicKey);
    expect(await provider.readSubject(await sign(known, { exp: nowSeconds + 600 }))).toMatchObject({ ok: true });
    publish({ status: 503 });
    await clock.advance(30_000);
    const token = await sign(unknown, { exp: nowSeconds + 600 });
    for (let i = 0; i < 3; i++) expect(failureOf(await provider.readSubject(token)).code).toBe('IDP_UNAVAILABLE');
    expect(idp.requests).toHaveLength(2);
    // The others are known as before.
    expect(valueOf(await provider.readSubject(await sign(known, { exp: nowSeconds + 600 })))?.owners).toEqual([
      'orders',
    ]);
  });

  it('is found by the metadata of its issuer, which need name no token endpoint', async () => {
    const key = await createKey('ES256', 'a');
    const idp = await startScript(({ path, headers }) => {
      const issuer = `http://${headers.host ?? ''}`;
      return { body: path === '/keys' ? { keys: [key.publicKey] } : { issuer, jwks_uri: `${issuer}/keys` } };
    });
    const clock = new VirtualClock();
    const provider = reader({}, { kind: 'jwt', issuer: idp.issuer }, clock);
    const token = await sign(key, { iss: idp.issuer, exp: Math.floor(clock.wallMs() / 1_000) + 60 });
    expect(valueOf(await provider.readSubject(token))?.owners).toEqual(['orders']);
    expect(idp.requests.map(({ path }) => path)).toEqual(['/.well-known/openid-configuration', '/keys']);
  });

  it('is not judged by keys that come over plain HTTP, unless the source allows that', async () => {
    const idp = await startScript(() => ({ body: { keys: [] } }));
    const check = { kind: 'jwt' as const, issuer: ISSUER, jwksUri: `${idp.issuer}/keys` };
    const provider = reader({ ...endpointOf(idp), allowInsecureHttp: false }, check);
    expect(failureOf(await provider.readSubject(new Redacted('a.b.c'))).code).toBe('IDP_PROTOCOL');
    expect(idp.requests).toHaveLength(0);
  });

  it('is judged within the timeout of the source, metadata and keys together', async () => {
    let answer: (reply: ScriptedReply) => void = () => undefined;
    const idp = await startScript(({ path }) => {
      return path === '/keys' ? { fault: 'hang' } : new Promise<ScriptedReply>((resolve) => (answer = resolve));
    });
    const clock = new VirtualClock();
    const provider = reader({ timeoutMs: 1_000 }, { kind: 'jwt', issuer: idp.issuer }, clock);
    const pending = provider.readSubject(new Redacted('a.b.c'));
    await eventually(() => idp.requests.length === 1, { what: 'the discovery' });
    await clock.advance(900);
    answer({ body: { issuer: idp.issuer, jwks_uri: `${idp.issuer}/keys` } });
    await eventually(() => idp.requests.length === 2, { what: 'the keys' });
    await clock.advance(100);
    expect(failureOf(await pending).code).toBe('IDP_TIMEOUT');
    // What was shared with other calls has a time of its own.
    await clock.advance(900);
    expect(clock.pendingTimers).toBe(0);
  });
});
