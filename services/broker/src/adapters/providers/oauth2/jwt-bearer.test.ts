import { Redacted } from '@token-broker/foundation';
import type { JwtAssertion, SubjectTokenConfiguration } from '@token-broker/configuration';
import { VirtualClock } from '@token-broker/testing';
import { describe, expect, it } from 'vitest';
import {
  CLIENT_ID,
  CLIENT_SECRET,
  CALLER,
  claimsOf,
  createKey,
  endpointOf,
  failureOf,
  headerOf,
  issuerOf,
  openProvider,
  startIdp,
  startScript,
  tokenOfCaller,
  valueOf,
} from '../fakes/oauth2-bed.js';

const GRANT_TYPE = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

async function createAssertion(more: Partial<Extract<JwtAssertion, { from: 'key' }>> = {}) {
  const key = await createKey('ES256', 'assertion-key');
  const assertion: JwtAssertion = {
    from: 'key',
    key: key.signingKey,
    issuer: CLIENT_ID,
    subject: 'someone',
    lifetimeMs: 60_000,
    claims: new Map<string, unknown>([['organization', ['a', 1]]]),
    ...more,
  };
  const clients = [
    { clientId: CLIENT_ID, clientSecret: CLIENT_SECRET, scopes: ['read'], keys: [key.publicKey] },
    CALLER,
  ];
  return { grant: { kind: 'jwt_bearer' as const, assertion }, clients };
}

describe('an assertion that the broker signs', () => {
  it('gets tokens at a real identity provider, where each is taken once', async () => {
    const { grant, clients } = await createAssertion();
    const idp = await startIdp({ clients, tokenFormat: 'jwt' });
    const { provider } = openProvider({ ...issuerOf(idp), grant });
    const request = { scopes: ['read'], resource: 'https://payments.example' };
    for (const issued of [await provider.fetch(request), await provider.fetch(request)]) {
      expect(claimsOf(valueOf(issued).accessToken.reveal())).toMatchObject({
        sub: 'someone',
        client_id: CLIENT_ID,
        aud: 'https://payments.example',
        scope: 'read',
      });
    }
    const assertions = idp.requests().map(({ form }) => form.get('assertion'));
    expect(new Set(assertions.map((assertion) => claimsOf(assertion)['jti'])).size).toBe(2);
    expect(claimsOf(assertions[0])['aud']).toBe(idp.issuer);
    expect(Object.fromEntries(idp.requests()[0]?.form ?? [])).toEqual({
      grant_type: GRANT_TYPE,
      assertion: assertions[0],
      scope: 'read',
      resource: 'https://payments.example',
    });
  });

  it("holds what is configured, and is good for as long as that, by the broker's clock", async () => {
    const claims = new Map<string, unknown>([
      ['organization', ['a', 1]],
      ['iss', 'not this one'],
      ['exp', 7],
    ]);
    const { grant } = await createAssertion({ lifetimeMs: 90_500, claims });
    const idp = await startScript(() => ({ body: { access_token: 'token', token_type: 'Bearer' } }));
    const clock = new VirtualClock();
    valueOf(await openProvider({ ...endpointOf(idp), grant }, clock).provider.fetch({ scopes: [] }));
    const assertion = idp.requests[0]?.form['assertion'];
    const nowSeconds = Math.floor(clock.wallMs() / 1_000);
    expect(headerOf(assertion)).toEqual({ alg: 'ES256', typ: 'JWT', kid: 'assertion-key' });
    expect(claimsOf(assertion)).toEqual({
      organization: ['a', 1],
      iss: CLIENT_ID,
      sub: 'someone',
      aud: idp.tokenEndpoint,
      iat: nowSeconds,
      exp: nowSeconds + 91,
      jti: expect.stringMatching(/^[\w-]{22}$/) as string,
    });
  });

  it('is for the audience that is configured, and is denied where it is for another', async () => {
    const { grant, clients } = await createAssertion({ audience: 'https://elsewhere.example' });
    const idp = await startIdp({ clients });
    const failure = failureOf(await openProvider({ ...issuerOf(idp), grant }).provider.fetch({ scopes: [] }));
    expect(failure).toMatchObject({ code: 'IDP_DENIED', message: 'the identity provider refused: invalid_grant' });
    expect(failure.refused).toBeUndefined();
    expect(claimsOf(idp.requests()[0]?.form.get('assertion'))['aud']).toBe('https://elsewhere.example');
  });

  it('is denied where it is signed by a key that the identity provider does not know', async () => {
    const { grant } = await createAssertion();
    const { clients } = await createAssertion();
    const idp = await startIdp({ clients });
    expect(failureOf(await openProvider({ ...issuerOf(idp), grant }).provider.fetch({ scopes: [] })).code).toBe(
      'IDP_DENIED',
    );
  });
});

describe("an assertion that is the caller's own token", () => {
  const subjectToken: SubjectTokenConfiguration = {
    type: 'urn:ietf:params:oauth:token-type:jwt',
    actorType: 'urn:ietf:params:oauth:token-type:jwt',
    check: { kind: 'introspection' },
    ownerClaim: 'client_id',
  };
  const grant = { kind: 'jwt_bearer' as const, assertion: { from: 'caller' as const } };

  it('is passed on as it is', async () => {
    const idp = await startIdp({ tokenFormat: 'jwt' });
    const token = await tokenOfCaller(idp);
    const { provider } = openProvider({ ...issuerOf(idp), grant, subjectToken });
    const issued = valueOf(await provider.fetch({ scopes: ['read'], subjectToken: token }));
    expect(claimsOf(issued.accessToken.reveal())).toMatchObject({ sub: CALLER.clientId, client_id: CLIENT_ID });
    expect(idp.requests().at(-1)?.form.get('assertion')).toBe(token.reveal());
  });

  it('must be there: without one no request is made', async () => {
    const idp = await startScript(() => ({ status: 500 }));
    const { provider } = openProvider({ ...issuerOf(idp), grant, subjectToken });
    expect(failureOf(await provider.fetch({ scopes: [] }))).toMatchObject({
      code: 'IDP_DENIED',
      message: "the source's grant needs a subject token, and the request has none",
    });
    expect(idp.requests).toHaveLength(0);
  });

  it('is in no failure', async () => {
    const idp = await startScript(({ form }) => ({ status: 400, body: { error: form['assertion'] } }));
    const { provider, lines } = openProvider({ ...endpointOf(idp), grant, subjectToken });
    const failure = failureOf(await provider.fetch({ scopes: [], subjectToken: new Redacted('short one 1') }));
    expect(JSON.stringify([failure, lines])).not.toContain('short one');
  });
});
