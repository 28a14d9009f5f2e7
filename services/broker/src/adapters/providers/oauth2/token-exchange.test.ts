import { Redacted } from '@token-broker/foundation';
import type { OAuth2SourceConfiguration, SubjectTokenConfiguration } from '@token-broker/configuration';
import { describe, expect, it } from 'vitest';
import {
  CALLER,
  CLIENT_ID,
  claimsOf,
  endpointOf,
  failureOf,
  issuerOf,
  openProvider,
  startIdp,
  startScript,
  tokenOfCaller,
  valueOf,
} from '../fakes/oauth2-bed.js';

const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const JWT = 'urn:ietf:params:oauth:token-type:jwt';

const SUBJECT: SubjectTokenConfiguration = {
  type: ACCESS_TOKEN,
  actorType: ACCESS_TOKEN,
  check: { kind: 'introspection' },
  ownerClaim: 'client_id',
};

function exchange(settings: Partial<OAuth2SourceConfiguration>, requestedTokenType?: string) {
  const grant = {
    kind: 'token_exchange' as const,
    ...(requestedTokenType === undefined ? {} : { requestedTokenType }),
  };
  return openProvider({ grant, subjectToken: SUBJECT, ...settings }).provider;
}

describe('the token exchange, at a real identity provider', () => {
  it("makes a token for the subject of the caller's", async () => {
    const idp = await startIdp();
    const subjectToken = await tokenOfCaller(idp);
    idp.resetCounts();
    const provider = exchange(issuerOf(idp));
    const issued = valueOf(await provider.fetch({ scopes: ['read'], subjectToken, audience: 'urn:ledger' }));
    expect(issued).toMatchObject({ tokenType: 'Bearer', scope: 'read' });
    expect(issued.accessToken.reveal()).not.toBe(subjectToken.reveal());
    expect(Object.fromEntries(idp.requests()[0]?.form ?? [])).toEqual({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: subjectToken.reveal(),
      subject_token_type: ACCESS_TOKEN,
      scope: 'read',
      audience: 'urn:ledger',
    });
    // The identity provider itself knows whose token it is now, and to whom it was issued.
    const known = await provider.readSubject(issued.accessToken);
    expect(valueOf(known)?.owners).toEqual([CLIENT_ID]);
    expect('refreshToken' in issued).toBe(false);
  });

  it('names who acts, in a JWT that was asked for', async () => {
    const idp = await startIdp({ tokenFormat: 'jwt' });
    const subjectToken = await tokenOfCaller(idp);
    const actorToken = valueOf(await openProvider(issuerOf(idp)).provider.fetch({ scopes: [] })).accessToken;
    const provider = exchange({ ...issuerOf(idp), subjectToken: { ...SUBJECT, type: JWT, actorType: JWT } }, JWT);
    const resource = 'https://ledger.example';
    const issued = valueOf(await provider.fetch({ scopes: ['read'], subjectToken, actorToken, resource }));
    expect(claimsOf(issued.accessToken.reveal())).toMatchObject({
      sub: CALLER.clientId,
      act: { sub: CLIENT_ID },
      client_id: CLIENT_ID,
      aud: resource,
    });
    expect(Object.fromEntries(idp.requests().at(-1)?.form ?? [])).toMatchObject({
      subject_token_type: JWT,
      actor_token: actorToken.reveal(),
      actor_token_type: JWT,
      requested_token_type: JWT,
    });
  });

  it('is denied what the identity provider did not issue, which is no fault of a refresh token', async () => {
    const idp = await startIdp();
    const provider = exchange(issuerOf(idp));
    const failure = failureOf(await provider.fetch({ scopes: [], subjectToken: new Redacted('made-up') }));
    expect(failure).toMatchObject({ code: 'IDP_DENIED', message: 'the identity provider refused: invalid_grant' });
    expect(failure.refused).toBeUndefined();
  });

  it('makes no request, nor a discovery, without a subject token', async () => {
    const idp = await startScript(() => ({ status: 500 }));
    const failure = failureOf(await exchange(issuerOf(idp)).fetch({ scopes: [] }));
    expect(failure).toMatchObject({ code: 'IDP_DENIED', message: expect.stringContaining('subject token') as string });
    expect(idp.requests).toHaveLength(0);
  });
});

describe('the type of what was issued', () => {
  const GOOD = { access_token: 'token', token_type: 'Bearer', expires_in: 600 };
  const issue = async (issuedType: unknown, requested?: string, tokenType = 'Bearer') => {
    const idp = await startScript(() => ({ body: { ...GOOD, token_type: tokenType, issued_token_type: issuedType } }));
    const provider = exchange(endpointOf(idp), requested);
    return provider.fetch({ scopes: [], subjectToken: new Redacted('subject') });
  };

  it.each([
    [ACCESS_TOKEN, undefined],
    [JWT, undefined],
    [JWT, JWT],
    ['urn:example:token', 'urn:example:token'],
  ])('may be %s where %s was asked for', async (issued, requested) => {
    expect(await issue(issued, requested)).toMatchObject({ ok: true });
  });

  it.each([
    ['missing', undefined, undefined, 'no issued_token_type'],
    ['missing', undefined, JWT, 'no issued_token_type'],
    ['of another kind', 'urn:ietf:params:oauth:token-type:refresh_token', undefined, 'not what was asked for'],
    ['not the one that was asked for', ACCESS_TOKEN, JWT, 'not what was asked for'],
    ['no string', [ACCESS_TOKEN], undefined, 'not what was asked for'],
  ])('is IDP_PROTOCOL when it is %s: %j', async (_, issued, requested, problem) => {
    const failure = failureOf(await issue(issued, requested));
    expect(failure).toMatchObject({ code: 'IDP_PROTOCOL', message: expect.stringContaining(problem) as string });
  });

  it('is IDP_PROTOCOL when the token is none for access', async () => {
    const failure = failureOf(await issue(JWT, JWT, 'N_A'));
    expect(failure).toMatchObject({ code: 'IDP_PROTOCOL', message: expect.stringContaining('N_A') as string });
  });

  it('is not asked of other grants', async () => {
    const idp = await startScript(() => ({ body: GOOD }));
    expect(await openProvider(endpointOf(idp)).provider.fetch({ scopes: [] })).toMatchObject({ ok: true });
  });
});
